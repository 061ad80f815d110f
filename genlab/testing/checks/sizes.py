"""Sizes: data of any shape are taken, or refused in one line when the model is built."""

from __future__ import annotations

import warnings
from dataclasses import replace

import torch

from genlab.contracts import GenerativeModel, HasLikelihood, UsageError
from genlab.testing.check import Skip, check, expect
from genlab.testing.spaces import space_of
from genlab.testing.subject import Subject

SHAPES = ((1,), (7,), (1, 3, 2), (3, 2, 2))  # small: some models enumerate their states
ROWS = (1, 3)
LARGE = (1, 16, 16)  # at 0.7 nats a bit, e^-177 is no float32


@check(
    "data of an odd shape must either be taken, with losses, samples and likelihoods of the right shape, or"
    " be refused with UnsupportedData or UsageError when the model is built"
)
def odd_sizes_are_taken_or_refused(s: Subject) -> None:
    for shape in SHAPES:
        spec = replace(s.space.spec, shape=shape)
        space = space_of(spec)
        try:
            with warnings.catch_warnings(action="ignore"):  # an empty layer is no fault
                model = s.fresh_model(s.build, space, s.seed).eval()
        except UsageError:
            continue
        where = "x".join(map(str, shape))
        for n in ROWS:
            _try(s, model, space, n, f"{n} data of {where}")


@check(
    "the log-likelihood of large data must be finite: probabilities are multiplied, or added, as they are,"
    " where log-probabilities must be added and logsumexp taken",
    needs=HasLikelihood,
)
def likelihoods_of_large_data_are_finite(s: Subject) -> None:
    space = space_of(replace(s.space.spec, shape=LARGE))
    try:
        model = s.fresh_model(s.build, space, s.seed).eval()
    except Exception as error:
        raise Skip(f"it cannot be built for {space.title}: {error}") from None
    x, _ = space.draw(2, s.generator("large"))
    nats = model.log_likelihood(x, generator=s.generator("large")).nats  # type: ignore[attr-defined]
    expect(bool(nats.isfinite().all()), f"{nats.tolist()} nats of {space.title}")


def _try(s: Subject, model: object, space, n: int, where: str) -> None:
    x, _ = space.draw(n, s.generator("sizes", where))
    if isinstance(model, HasLikelihood):
        with torch.no_grad():
            nats = model.log_likelihood(x, generator=s.generator("sizes")).nats
        expect(nats.shape == (n,), f"{where}: the likelihoods have the shape {tuple(nats.shape)}")
    if isinstance(model, GenerativeModel):
        drawn = model.sample(n, generator=s.generator("sizes"))
        expect(drawn.shape == x.shape, f"{where}: samples have the shape {tuple(drawn.shape)}")
        expect(space.spec.contains(drawn), f"{where}: a sample is outside of the support")
