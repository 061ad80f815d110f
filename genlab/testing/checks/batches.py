"""Batches: a datum's number belongs to the datum, not to its neighbours or its place."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from genlab.contracts import HasImportanceWeights, HasLikelihood
from genlab.testing.check import check, expect
from genlab.testing.checks.likelihood import need_exact
from genlab.testing.statistics import MANY_SIGMAS, Estimate
from genlab.testing.subject import FLOOR, Subject

ROWS = 16
CLOSE = 1e-5


@check(
    "a likelihood of one datum alone differs from that of the same datum in a batch: something is"
    " computed over the batch (batch normalisation, a mean without a dimension)",
    needs=HasLikelihood,
)
def likelihood_of_a_datum_ignores_its_batch(s: Subject) -> None:
    need_exact(s)
    x = s.distinct(ROWS)
    together = s.likelihood(x).nats
    alone = torch.cat([s.likelihood(row[None]).nats for row in x])
    expect(torch.allclose(together, alone, CLOSE, CLOSE), _differs(together, alone))


@check(
    "permuting the batch must permute the likelihoods: a row's number depends on its place in the batch",
    needs=HasLikelihood,
)
def likelihood_follows_a_permuted_batch(s: Subject) -> None:
    x, order = _permuted(s)
    if s.exact:
        straight, permuted = s.likelihood(x).nats, s.likelihood(x[order]).nats[order.argsort()]
        expect(torch.allclose(straight, permuted, CLOSE, CLOSE), _differs(straight, permuted))
        return

    def nats(rows: Tensor, generator: Generator) -> Tensor:
        return s.model.log_likelihood(rows, generator=generator).nats

    expect_equal_means(s, "permuted nats", nats)


@check(
    "permuting the batch must permute the importance weights: a row's weights depend on its place",
    needs=HasImportanceWeights,
)
def weights_follow_a_permuted_batch(s: Subject) -> None:
    def log_weight(rows: Tensor, generator: Generator) -> Tensor:
        return s.model.log_weights(rows, 1, generator=generator).squeeze(0)

    expect_equal_means(s, "permuted weights", log_weight)


def _permuted(s: Subject) -> tuple[Tensor, Tensor]:
    """Different data, and an order that leaves none in its place."""
    x = s.distinct(ROWS)
    return x, torch.arange(len(x)).roll(len(x) // 2)


def expect_equal_means(
    s: Subject, name: str, number: Callable[[Tensor, Generator], Tensor]
) -> None:
    """number: (B,) of rows: (B, *shape), stochastic."""
    x, order = _permuted(s)
    straight = s.repeat(name, len(x), lambda g: number(x.clone(), g)).clamp(min=FLOOR)
    permuted = s.repeat(f"{name}, too", len(x), lambda g: number(x[order], g)).clamp(min=FLOOR)
    gap = Estimate.of(straight).sigmas(Estimate.of(permuted[:, order.argsort()])).abs().max()
    expect(gap <= MANY_SIGMAS, f"the means of a row differ by {float(gap):.1f} standard errors")


def _differs(a: Tensor, b: Tensor) -> str:
    worst = float((a - b).abs().max())
    return "one of them is NaN" if math.isnan(worst) else f"by up to {worst:.3g} nats"
