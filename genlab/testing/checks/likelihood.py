"""Likelihoods: what they say of themselves, and whether it is true."""

from __future__ import annotations

import torch
from torch import Tensor

from genlab.contracts import Guarantee, HasLikelihood, LogLikelihood, Measure, Support
from genlab.testing.check import Skip, check, expect
from genlab.testing.statistics import (
    MANY_SIGMAS,
    SIGMAS,
    SIGNIFICANT,
    Estimate,
    against_counts,
    g_test,
)
from genlab.testing.subject import Subject


def need_exact(s: Subject) -> None:
    if not s.exact:
        raise Skip("the likelihood does not claim to be exact")


def _need_bound(s: Subject) -> None:
    guarantee = s.model.guarantee
    if guarantee is not Guarantee.LOWER_BOUND:
        raise Skip(f"the likelihood is {guarantee.value}, not a lower bound")


@check(
    "log_likelihood must return a LogLikelihood with one number per datum, the model's guarantee and a"
    " method;"
    " its measure is MASS on BINARY and LEVELS data and DENSITY on REAL data",
    needs=HasLikelihood,
)
def likelihood_says_what_it_is(s: Subject) -> None:
    for n in (1, 7):
        result = s.likelihood(s.data(n).x)
        expect(isinstance(result, LogLikelihood), f"a {type(result).__name__}")
        expect(result.nats.shape == (n,), f"nats: {tuple(result.nats.shape)} for {n} data")
        expect(isinstance(s.model.guarantee, Guarantee), f"guarantee: {s.model.guarantee!r}")
        said, promised = result.guarantee, s.model.guarantee
        expect(said is promised, f"{said!r} from a model whose guarantee is {promised!r}")
        measure = Measure.DENSITY if s.space.spec.support is Support.REAL else Measure.MASS
        expect(result.measure is measure, f"measure: {result.measure!r}")
        expect(bool(result.method), "method is empty")
        expect(result.given == "", f"given={result.given!r} where no label was given")


@check(
    "a log-likelihood must be a number below infinity for every datum of the space",
    needs=HasLikelihood,
)
def likelihood_is_never_nan(s: Subject) -> None:
    x = torch.cat([s.space.coarse.states, s.data(64).x])
    parts = [s.likelihood(part, "nan").nats for part in x.split(4096)]
    nats = torch.cat(parts)
    bad = nats.isnan() | (nats == torch.inf)
    expect(
        not bad.any(), f"{int(bad.sum())} of {len(x)} data, first {x[bad][:1].flatten().tolist()}"
    )


@check(
    "a likelihood that is called EXACT must not depend on the generator: a number with noise in it is an"
    " estimate, or the lower bound that its mean is",
    needs=HasLikelihood,
)
def exact_likelihood_has_no_noise(s: Subject) -> None:
    need_exact(s)
    x = s.distinct(64)
    a, b = (s.likelihood(x, "noise", i).nats for i in range(2))
    worst = _worst(a, b)
    expect(worst < 1e-5, f"two generators differ by {worst:.3g} nats")


@check(
    "the likelihood is called EXACT, but its probabilities do not sum to one over all data: below one it"
    " is a bound or forgets a part, above one something leaks or is not normalised (on REAL data: a"
    " Jacobian is missing; on BINARY and LEVELS data: a density is given for a mass)",
    needs=HasLikelihood,
    enumerable=True,
)
def exact_likelihood_sums_to_one(s: Subject) -> None:
    need_exact(s)
    total = float(s.space.masses(s.log_p).sum())
    expect(abs(total - 1) <= s.space.tolerance, f"they sum to {total:.6f}")


@check(
    "sample and log_likelihood do not describe the same distribution: compare the order of dimensions,"
    " scales and clipping of the two",
    needs=HasLikelihood,
    enumerable=True,
)
def samples_follow_the_exact_likelihood(s: Subject) -> None:
    need_exact(s)
    p = g_test(s.counts, s.probabilities)
    expect(p > SIGNIFICANT, f"G-test of {s.draws} samples: p = {p:.1g}")


@check(
    "the likelihood is called a LOWER_BOUND, but the exponentials of its means sum to more than one over"
    " all data, which no bound on a distribution can",
    needs=HasLikelihood,
    enumerable=True,
)
def bound_sums_to_at_most_one(s: Subject) -> None:
    _need_bound(s)
    p = _bound(s).mean * s.space.coarse.volume
    total, noise = p.sum(), ((s.noisy_nats - s.noisy_nats.mean(0)) @ p).std()
    sigmas = Estimate(total, noise / len(s.noisy_nats) ** 0.5).sigmas(1.0, s.space.tolerance)
    expect(
        sigmas <= SIGMAS,
        f"the sum is {float(total):.4f}, {float(sigmas):.1f} standard errors above",
    )


@check(
    "the likelihood is called a LOWER_BOUND, but its mean is above the logarithm of how often the datum is"
    " sampled",
    needs=HasLikelihood,
    enumerable=True,
)
def bound_is_below_the_sampler(s: Subject) -> None:
    _need_bound(s)
    space, bound = s.space.coarse, _bound(s)
    mass, error = space.masses(bound.mean.log()), space.masses(bound.error.log())
    gap, words = against_counts(Estimate(mass, error), s.counts[:-1])
    worst = int(gap.argmax())
    expect(gap[worst] <= MANY_SIGMAS, f"{words[worst]}, {float(gap[worst]):.1f} standard errors")


def _bound(s: Subject) -> Estimate:
    """(S,) exp(E nats) of each coarse state; the noise of the mean would raise its exponential."""
    nats = Estimate.of(s.noisy_nats)
    p = (nats.mean - nats.error.square() / 2).exp()
    return Estimate(p, p * nats.error)


def _worst(a: Tensor, b: Tensor) -> float:
    """The largest difference; two equal infinities do not differ."""
    return float(torch.where(a == b, torch.zeros_like(a), (a - b).abs()).max())
