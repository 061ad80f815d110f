"""State: a model is what its state_dict says, and nothing that evaluates it changes it."""

from __future__ import annotations

import copy
import io

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    Classifies,
    GenerativeModel,
    HasEncoder,
    HasImportanceWeights,
    HasLikelihood,
    Model,
)
from genlab.testing.check import check, expect, same
from genlab.testing.subject import Subject


@check(
    "a model saved with torch.save, loaded with weights_only=True into a fresh one must be the same bit by"
    " bit: something that matters is neither a parameter nor a persistent buffer"
)
def saved_and_loaded_model_is_the_same(s: Subject) -> None:
    file = io.BytesIO()
    torch.save({"model": s.model.state_dict(), "ranks": s.model.rank_state()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    fresh = s.fresh_model(s.build, s.space, s.seed + 1).eval()
    fresh.load_state_dict(saved["model"])
    fresh.load_rank_state(saved["ranks"])
    for name, value in s.model.state_dict().items():
        expect(same(value, fresh.state_dict()[name]), f"{name} differs")
    _expect_same_numbers(s, s.model, fresh)


@check(
    "copy.deepcopy must give the same model, and one of its own: changing the copy changed the model"
)
def deep_copy_is_the_same_and_apart(s: Subject) -> None:
    twin = copy.deepcopy(s.model)
    _expect_same_numbers(s, s.model, twin)
    before = _state(s.model)
    for p in twin.parameters():
        p.add_(1.0)
    _expect_state(s.model, before)


@check(
    "sampling, scoring and validating must change neither parameters, buffers nor their arguments"
)
def evaluation_changes_nothing(s: Subject) -> None:
    before, batch = _state(s.model), s.data(16)
    x, generator = batch.x.clone(), s.generator("unchanged")
    s.model.validate(batch)
    if isinstance(s.model, GenerativeModel):
        s.model.sample(16, generator=generator)
    _scores(s.model, batch.x, generator)
    _expect_state(s.model, before)
    expect(torch.equal(x, batch.x), "the data handed in were written to")


def _expect_same_numbers(s: Subject, a: Model, b: Model) -> None:
    if isinstance(a, GenerativeModel) and isinstance(b, GenerativeModel):
        x, y = (m.sample(32, generator=s.generator("state")) for m in (a, b))
        expect(same(x, y), "samples differ")
    p, q = (_scores(m, s.distinct(16).clone(), s.generator("state")) for m in (a, b))
    for name in p:
        expect(same(p[name], q[name]), f"{name} differs")


def _scores(model: object, x: Tensor, generator: Generator) -> dict[str, Tensor]:
    """What the model says of x, by every method that it has."""
    scores = {}
    if isinstance(model, HasLikelihood):
        scores["log_likelihood"] = model.log_likelihood(x, generator=generator).nats
    if isinstance(model, HasImportanceWeights):
        scores["log_weights"] = model.log_weights(x, 2, generator=generator)
    if isinstance(model, HasEncoder):
        scores["decode(encode(x))"] = model.decode(model.encode(x))
    if isinstance(model, Classifies) and model.classifies:
        scores["log_posterior"] = model.log_posterior(x, generator=generator)
    return scores


def _state(model: torch.nn.Module) -> dict[str, Tensor]:
    values = [*model.named_parameters(), *model.named_buffers()]
    return {name: value.detach().clone() for name, value in values}


def _expect_state(model: torch.nn.Module, before: dict[str, Tensor]) -> None:
    changed = [name for name, value in _state(model).items() if not same(value, before[name])]
    expect(not changed, f"changed: {', '.join(changed)}")
