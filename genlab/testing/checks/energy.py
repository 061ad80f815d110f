"""Energies: sums over the space, and annealing paths that lead to them."""

from __future__ import annotations

import math

import torch
from torch import Generator

from genlab.contracts import AnnealingPath, Guarantee, HasEnergy, State
from genlab.likelihood.annealing import anneal
from genlab.testing.check import Skip, check, expect
from genlab.testing.statistics import SIGMAS, Estimate
from genlab.testing.subject import Subject

CHAINS = 2000
BETAS = torch.linspace(0, 1, 21).tolist()


@check(
    "log_unnormalised(x, k) must be of shape (k, B) and never NaN, and says EXACT or LOWER_BOUND of itself",
    needs=HasEnergy,
)
def energy_has_a_row_per_draw(s: Subject) -> None:
    expect(
        s.model.unnormalised in (Guarantee.EXACT, Guarantee.LOWER_BOUND),
        f"unnormalised = {s.model.unnormalised!r}",
    )
    x = s.distinct(7)
    for k in (1, 3):
        value = s.model.log_unnormalised(x, k, generator=s.generator("energy", k))
        expect(value.shape == (k, len(x)), f"{tuple(value.shape)} for k = {k} and {len(x)} data")
        expect(not value.isnan().any(), "some are NaN")


@check(
    "the expected exp(log_unnormalised) summed over all data is not exp(log_z()): the energy and its"
    " constant belong to different distributions",
    needs=HasEnergy,
    enumerable=True,
)
def energy_sums_to_its_constant(s: Subject) -> None:
    log_z = _log_z(s)
    x = s.space.coarse.states

    def total(generator: torch.Generator) -> torch.Tensor:
        log_f = s.model.log_unnormalised(x, 1, generator=generator)[0].double()
        return (log_f - log_z).exp().sum() * s.space.coarse.volume

    ratio = Estimate.of(s.repeat("energy", len(x), total))
    sigmas = float(ratio.sigmas(1.0, max(1e-4, s.space.tolerance)).abs())
    detail = f"they sum to {float(ratio.mean):.4f} of it"
    expect(sigmas <= SIGMAS, f"{detail}, {sigmas:.3g} standard errors from one")


@check(
    "annealing along the path does not lead from log_z0 to log_z(): a transition does not leave f_beta"
    " invariant, start does not draw from f_0, or one of the constants is wrong",
    needs=HasEnergy,
)
def annealing_leads_from_one_constant_to_the_other(s: Subject) -> None:
    """Annealed importance sampling is unbiased with any number of steps (Neal 2001)."""
    log_z, path, generator = _log_z(s), _path(s), s.generator("annealing")
    start = path.start(CHAINS, generator=generator)
    ratio = _ratio(path, BETAS, start, log_z - path.log_z0, generator)
    expect(ratio.sigmas(1.0).abs() <= SIGMAS, f"{_words(ratio)} times exp(log_z)")


@check(
    "annealing back from path.end does not lead from log_z() to log_z0: end does not draw from f_1 exactly,"
    " which is what makes a bracket two-sided (give None where it cannot)",
    needs=HasEnergy,
)
def annealing_leads_back_from_exact_draws(s: Subject) -> None:
    """Likewise, from the other end (Grosse, Ancha, Roy 2016)."""
    log_z, path, generator = _log_z(s), _path(s), s.generator("annealing back")
    start = path.end(CHAINS, generator=generator)
    if start is None:
        raise Skip("the path has no exact draws of its end")
    ratio = _ratio(path, BETAS[::-1], start, path.log_z0 - log_z, generator)
    expect(ratio.sigmas(1.0).abs() <= SIGMAS, f"{_words(ratio)} times exp(log_z0)")


def _ratio(
    path: AnnealingPath, betas: list[float], start: State, log_ratio: float, generator: Generator
) -> Estimate:
    """The mean weight of the chains, as a multiple of what it should be."""
    log_w, _ = anneal(path, betas, start, generator)
    return Estimate.of((log_w - log_ratio).exp())


def _words(ratio: Estimate) -> str:
    n, mean, error = CHAINS, float(ratio.mean), float(ratio.error)
    return f"{n} chains of {len(BETAS) - 1} steps arrive at {mean:.4f} ± {error:.4f}"


def _path(s: Subject) -> AnnealingPath:
    return s.model.path(s.data(1000).x, generator=s.generator("path"))


def _log_z(s: Subject) -> float:
    if s.model.summable is None:
        raise Skip("log_z cannot be summed")
    log_z = s.model.log_z()
    expect(math.isfinite(log_z), f"log_z = {log_z}")
    return log_z
