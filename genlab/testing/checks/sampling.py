"""Samples: what they look like, and that a generator decides them."""

from __future__ import annotations

import torch

from genlab.contracts import GenerativeModel
from genlab.testing.check import check, expect
from genlab.testing.subject import Subject


@check(
    "sample(n) must return n data of the spec's shape, in floating point, for every n",
    needs=GenerativeModel,
)
def samples_have_the_shape_of_the_data(s: Subject) -> None:
    for n in (1, 7):
        x = s.model.sample(n, generator=s.generator("shape", n))
        wanted = (n, *s.space.spec.shape)
        expect(tuple(x.shape) == wanted, f"sample({n}) has shape {tuple(x.shape)}, not {wanted}")
        expect(x.is_floating_point(), f"sample({n}) is of {x.dtype}")


@check(
    "samples must lie in the support of the data: a model of binary data returns bits, not the"
    " probabilities of bits, and one of levels returns k / (levels - 1)",
    needs=GenerativeModel,
)
def samples_lie_in_the_support(s: Subject) -> None:
    x = s.samples
    expect(x.isfinite().all(), f"{int((~x.isfinite()).sum())} entries are not finite")
    values = ", ".join(f"{v:.4g}" for v in x.unique()[:5].tolist())
    expect(
        s.space.spec.contains(x), f"values such as {values} for {s.space.spec.support.name} data"
    )


@check(
    "two generators in the same state must give the same samples, bit by bit", needs=GenerativeModel
)
def same_generator_same_samples(s: Subject) -> None:
    a, b = (s.model.sample(16, generator=s.generator("same")) for _ in range(2))
    expect(torch.equal(a, b), f"{int((a != b).sum())} of {a.numel()} entries differ")


@check(
    "different generators must give different samples: the generator is not used",
    needs=GenerativeModel,
)
def different_generators_different_samples(s: Subject) -> None:
    a, b = (s.model.sample(64, generator=s.generator("different", i)) for i in range(2))
    expect(not torch.equal(a, b), "64 samples are equal")
