"""Other samplers than a model's own: what they draw, and which of them are refused."""

from __future__ import annotations

from typing import Any

import torch

from genlab.contracts import TakesSampler, UsageError
from genlab.testing.check import check, expect, same
from genlab.testing.subject import Subject

N = 64
TOO_MUCH = 2.0  # guidance


@check(
    "sample_by must return n data of the spec's shape, inside the support, by every sampler that the model"
    " names in samplers; and it must name one",
    needs=TakesSampler,
)
def samplers_draw_data(s: Subject) -> None:
    expect(len(s.model.samplers) > 0, "samplers is empty")
    for sampler in s.model.samplers:
        for n in (1, 7):
            x = drawn(s, sampler, n)
            wanted = (n, *s.space.spec.shape)
            expect(tuple(x.shape) == wanted, f"{_name(sampler)}: {tuple(x.shape)}, not {wanted}")
            expect(s.space.spec.contains(x), f"{_name(sampler)}: outside of the support")


@check(
    "a sampler must draw the same from generators in the same state, bit by bit, and something else from"
    " others: it uses another generator, or none",
    needs=TakesSampler,
)
def generator_decides_what_samplers_draw(s: Subject) -> None:
    for sampler in s.model.samplers:
        first, again = drawn(s, sampler, N), drawn(s, sampler, N)
        expect(same(first, again), f"{_name(sampler)}: the second time it is another")
        other = drawn(s, sampler, N, "another")
        expect(not same(first, other), f"{_name(sampler)}: another generator gives the same")


@check(
    "sample_by with sampler=None must draw what sample draws: None is the model's own sampler",
    needs=TakesSampler,
)
def no_sampler_is_the_models_own(s: Subject) -> None:
    own = s.model.sample(N, generator=s.generator("sampler"))
    expect(same(own, drawn(s, None, N)), "with generators in the same state they differ")


@check(
    "a sampler that is not for this model must be refused with a UsageError: what it draws in its place"
    " would be taken for that sampler's",
    needs=TakesSampler,
)
def unsuitable_samplers_are_refused(s: Subject) -> None:
    expect(_refused(s, object()), "an object that is no sampler at all is taken")


@check(
    "guidance without a label must be refused with a UsageError: there is nothing to be guided to",
    needs=TakesSampler,
)
def guidance_without_a_label_is_refused(s: Subject) -> None:
    for sampler in (None, *s.model.samplers):
        refused = _refused(s, sampler, guidance=TOO_MUCH)
        expect(refused, f"{_name(sampler)}: guidance={TOO_MUCH} is taken without one")


def drawn(s: Subject, sampler: Any, n: int, *parts: str, **options: Any) -> torch.Tensor:
    return s.model.sample_by(sampler, n, generator=s.generator("sampler", *parts), **options)


def _refused(s: Subject, sampler: Any, **options: Any) -> bool:
    try:
        drawn(s, sampler, 1, **options)
    except UsageError:
        return True
    return False


def _name(sampler: Any) -> str:
    return "its own sampler" if sampler is None else type(sampler).__name__
