"""Random state: what is drawn comes from the generator that was handed in, and from nowhere else.

Evaluation draws block b with a generator of its own, so that numbers do not depend on how the work is
divided. A model that uses a global generator breaks this, and the reproducibility of everything after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genlab.contracts import (
    Classifies,
    Completes,
    GenerativeModel,
    HasEncoder,
    HasEnergy,
    HasFigures,
    HasImportanceWeights,
    HasLikelihood,
    HasVelocity,
    Images,
    Plane,
    TakesSampler,
)
from genlab.testing.ambient import ambient, fingerprint
from genlab.testing.check import check, expect
from genlab.testing.checks.classification import need_labels
from genlab.testing.checks.evidence import evidence_for
from genlab.testing.checks.samplers import drawn
from genlab.testing.subject import Subject

WRONG = "{} must draw from its generator alone, not from torch's, NumPy's or Python's global one"


@check(WRONG.format("sample"), needs=GenerativeModel)
def sample_leaves_global_randomness_alone(s: Subject) -> None:
    _expect_alone(lambda: s.model.sample(16, generator=s.generator("ambient")))


@check(WRONG.format("sample_by"), needs=TakesSampler)
def sample_by_leaves_global_randomness_alone(s: Subject) -> None:
    for sampler in s.model.samplers:
        _expect_alone(lambda it=sampler: drawn(s, it, 16))


@check(WRONG.format("log_likelihood"), needs=HasLikelihood)
def log_likelihood_leaves_global_randomness_alone(s: Subject) -> None:
    _expect_alone(lambda: s.likelihood(s.distinct(16), "ambient").nats)


@check(WRONG.format("log_weights"), needs=HasImportanceWeights)
def log_weights_leaves_global_randomness_alone(s: Subject) -> None:
    x = s.distinct(16)
    _expect_alone(lambda: s.model.log_weights(x.clone(), 3, generator=s.generator("ambient")))


@check(WRONG.format("log_unnormalised"), needs=HasEnergy)
def log_unnormalised_leaves_global_randomness_alone(s: Subject) -> None:
    x = s.distinct(16)
    _expect_alone(lambda: s.model.log_unnormalised(x.clone(), 3, generator=s.generator("ambient")))


@check(WRONG.format("an annealing path"), needs=HasEnergy)
def annealing_leaves_global_randomness_alone(s: Subject) -> None:
    _expect_alone(lambda: _annealed(s))


@check(WRONG.format("embed"), needs=HasVelocity)
def embed_leaves_global_randomness_alone(s: Subject) -> None:
    x = s.distinct(16)
    _expect_alone(lambda: s.model.embed(x.clone(), generator=s.generator("ambient"))[0])


@check(WRONG.format("complete"), needs=Completes)
def complete_leaves_global_randomness_alone(s: Subject) -> None:
    for evidence in evidence_for(s):
        _expect_alone(lambda e=evidence: s.model.complete(e, 4, generator=s.generator("ambient")))


@check(WRONG.format("log_posterior"), needs=Classifies)
def log_posterior_leaves_global_randomness_alone(s: Subject) -> None:
    need_labels(s)
    x = s.distinct(16)
    _expect_alone(lambda: s.model.log_posterior(x.clone(), generator=s.generator("ambient")))


@check(
    "encode and decode must draw nothing: a code is the same for the same datum, always, such as the mean"
    " of what an encoder would draw",
    needs=HasEncoder,
)
def codes_leave_global_randomness_alone(s: Subject) -> None:
    x = s.distinct(16)
    _expect_alone(lambda: s.model.encode(x.clone()).float())
    _expect_alone(lambda: s.model.decode(s.model.encode(x.clone())))


@check(WRONG.format("figures"), needs=HasFigures)
def figures_leaves_global_randomness_alone(s: Subject) -> None:
    _expect_alone(lambda: _numbers(s.model.figures(s.data(8), generator=s.generator("ambient"))))


def _expect_alone(call: Callable[[], Tensor]) -> None:
    results = []
    for seed in range(2):
        with ambient("seed", seed):
            before = fingerprint()
            results.append(call())
            moved = [name for name, state in fingerprint().items() if state != before[name]]
            expect(not moved, f"the state of the global generator of {' and '.join(moved)} changed")
    a, b = results
    expect(
        a.shape == b.shape and torch.allclose(a, b, equal_nan=True),
        "the result depends on the global seed",
    )


def _annealed(s: Subject) -> Tensor:
    """The states of a few chains after a transition, from both ends of the path that there are."""
    generator = s.generator("ambient")
    path = s.model.path(s.data(100).x, generator=generator)
    ends = [path.start(16, generator=generator), path.end(16, generator=generator)]
    moved = [path.transition(end, 0.5, generator=generator) for end in ends if end is not None]
    return torch.cat([part.flatten().float() for state in moved for part in state])


def _numbers(figures: Any) -> Tensor:
    """All numbers of some figures."""
    contents = [figure.content for figure in figures]
    parts = [
        c.pixels if isinstance(c, Images) else c.points if isinstance(c, Plane) else c.values
        for c in contents
    ]
    return torch.cat([torch.zeros(1), *(part.flatten().float() for part in parts)])
