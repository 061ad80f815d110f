"""Energies: sums over the space, and annealing paths that lead to them."""

from __future__ import annotations

import itertools
import math

import torch

from genlab.contracts import AnnealingPath, Guarantee, HasEnergy
from genlab.testing.check import Skip, check, expect
from genlab.testing.statistics import SIGMAS, Estimate
from genlab.testing.subject import Subject

CHAINS = 2000
STEPS = 20


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
    expect(sigmas <= SIGMAS, f"{detail}, {sigmas:.1f} standard errors from one")


@check(
    "annealing along the path does not lead from log_z0 to log_z(): a transition does not leave f_beta"
    " invariant, start does not draw from f_0, or one of the constants is wrong",
    needs=HasEnergy,
)
def annealing_leads_from_one_constant_to_the_other(s: Subject) -> None:
    """Annealed importance sampling is unbiased with any number of steps (Neal 2001)."""
    log_z, path = _log_z(s), _path(s)
    generator = s.generator("annealing")
    state = path.start(CHAINS, generator=generator)
    log_w = torch.full((CHAINS,), path.log_z0 - log_z, dtype=torch.float64)
    betas = torch.linspace(0, 1, STEPS + 1).tolist()
    for low, high in itertools.pairwise(betas):
        log_w += (path.log_f(state, high) - path.log_f(state, low)).double()
        state = path.transition(state, high, generator=generator)
    ratio = Estimate.of(log_w.exp())
    sigmas = float(ratio.sigmas(1.0).abs())
    detail = f"{float(ratio.mean):.4f} ± {float(ratio.error):.4f} times exp(log_z)"
    expect(sigmas <= SIGMAS, f"{CHAINS} chains of {STEPS} steps arrive at {detail}")


def _path(s: Subject) -> AnnealingPath:
    return s.model.path(s.data(1000).x, generator=s.generator("path"))


def _log_z(s: Subject) -> float:
    if s.model.summable is None:
        raise Skip("log_z cannot be summed")
    log_z = s.model.log_z()
    expect(math.isfinite(log_z), f"log_z = {log_z}")
    return log_z
