"""Importance weights: unbiased, so that both sides can be tested."""

from __future__ import annotations

import torch

from genlab.contracts import HasImportanceWeights
from genlab.testing.check import check, expect
from genlab.testing.statistics import MANY_SIGMAS, SIGMAS, Estimate, frequencies
from genlab.testing.subject import MANY, Subject


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
    "the expected importance weights do not sum to one over all data: E[w] is not p(x); look for a"
    " factor, a missing log q(z|x) or log p(z), or draws that are not from q",
    needs=HasImportanceWeights,
    enumerable=True,
)
def weights_sum_to_one_in_expectation(s: Subject) -> None:
    for k, weights in ((1, s.weights(1)), (MANY, s.many_weights)):
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
    seen = frequencies(s.counts)
    gap = masses.sigmas(Estimate(seen.mean[:-1], seen.error[:-1])).abs()
    worst = int(gap.argmax())
    detail = f"{float(masses.mean[worst]):.4f} against a frequency of {float(seen.mean[worst]):.4f}"
    expect(gap[worst] <= MANY_SIGMAS, f"{detail}, {float(gap[worst]):.1f} standard errors")
