"""Importance weights: unbiased, so that both sides can be tested."""

from __future__ import annotations

import torch

from genlab.contracts import HasImportanceWeights
from genlab.testing.check import Skip, check, expect
from genlab.testing.statistics import MANY_SIGMAS, SIGMAS, Estimate, against_counts
from genlab.testing.subject import Subject


@check(
    "log_weights(x, k) must be of shape (k, B), and neither NaN nor infinite above",
    needs=HasImportanceWeights,
)
def weights_have_a_row_per_draw(s: Subject) -> None:
    x = s.distinct(7)
    for k in (1, 3):
        weights = s.model.log_weights(x.clone(), k, generator=s.generator("rows", k))
        expect(
            weights.shape == (k, len(x)), f"{tuple(weights.shape)} for k = {k} and {len(x)} data"
        )
        expect(not weights.isnan().any(), "some are NaN")
        expect(not (weights == torch.inf).any(), "some are infinite")


@check(
    "the k weights of a datum must come from k draws: they are all the same, so that more of them are no"
    " better than one",
    needs=HasImportanceWeights,
)
def weights_come_from_draws_of_their_own(s: Subject) -> None:
    if s.exact:
        raise Skip("the likelihood is exact, and every weight is p(x)")
    weights = s.model.log_weights(s.distinct(7), 8, generator=s.generator("own draws"))
    expect(bool((weights != weights[:1]).any()), "8 weights of each of 7 data")


@check(
    "the expected importance weights do not sum to one over all data: E[w] is not p(x); look for a"
    " factor, a missing log q(z|x) or log p(z), or draws that are not from q",
    needs=HasImportanceWeights,
    enumerable=True,
)
def weights_sum_to_one_in_expectation(s: Subject) -> None:
    for k, weights in ((1, s.weights(1)), (s.many, s.many_weights)):
        total = Estimate.of(weights.sum(1) * s.space.coarse.volume)
        sigmas = float(total.sigmas(1.0, s.space.tolerance).abs())
        detail = f"k = {k}: they sum to {float(total.mean):.4f} ± {float(total.error):.4f}"
        expect(sigmas <= SIGMAS, f"{detail}, {sigmas:.1f} standard errors from one")


@check(
    "the expected importance weight of a datum differs from how often sample draws it: the weights belong"
    " to another distribution than the samples",
    needs=HasImportanceWeights,
    enumerable=True,
)
def weights_agree_with_the_sampler(s: Subject) -> None:
    space = s.space.coarse
    masses = Estimate.of(torch.stack([space.masses(w.log()) for w in s.many_weights]))
    gap, words = against_counts(masses, s.counts[:-1])
    worst = int(gap.abs().argmax())
    expect(
        gap[worst].abs() <= MANY_SIGMAS, f"{words[worst]}, {float(gap[worst]):.1f} standard errors"
    )
