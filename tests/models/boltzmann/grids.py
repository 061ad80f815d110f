"""Small machines of every pair of kinds of units, summed over fine grids: no formula of theirs is used."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from genlab.models.boltzmann import RestrictedBoltzmann
from genlab.models.boltzmann.units import Bernoulli, Gaussian, Joint, Rectified, Softmax, Units

REACH = 9.0
STEP: dict[type[Units], float] = {
    Gaussian: 0.05,
    Rectified: 0.01,
}  # an end costs digits
EDGE = 0.4  # between two points of the grid: which side of it a unit is on is its bit

PAIRS: dict[str, tuple[Units, Units]] = {
    "bits, bits": (Bernoulli(3), Bernoulli(2)),
    "bits, gaussian": (Bernoulli(3), Gaussian(1)),
    "bits, rectified": (Bernoulli(3), Rectified(1)),
    "gaussian, bits": (Gaussian(2), Bernoulli(2)),
    "bits and label, bits": (Joint([Bernoulli(2), Softmax(3)]), Bernoulli(2)),
    "bits and label, gaussian": (Joint([Bernoulli(1), Softmax(3)]), Gaussian(1)),
    "bits and label, rectified": (Joint([Bernoulli(1), Softmax(3)]), Rectified(1)),
    "gaussian and label, bits": (Joint([Gaussian(1), Softmax(2)]), Bernoulli(2)),
}


def machine_of(visible: Units, hidden: Units, seed: int = 0) -> RestrictedBoltzmann:
    """With weights and biases from N(0, 1), and offsets; float64, no gradients."""
    generator = torch.Generator().manual_seed(seed)
    machine = RestrictedBoltzmann(visible, hidden).double()
    for tensor in [*machine.parameters(), machine.visible_offset, machine.hidden_offset]:
        tensor.data = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    return machine.requires_grad_(False)


def grid(units: Units) -> tuple[Tensor, Tensor]:
    """Points: (N, size) and log weights: (N,) with Σ exp(weight) f(point) = ∫ f(s) exp(−e(s)) ds."""
    if isinstance(units, Joint):
        return _product([grid(part) for part in units.parts])
    if isinstance(units, Softmax):
        return torch.eye(units.size, dtype=torch.float64), torch.zeros(units.size).double()
    if isinstance(units, Bernoulli):
        one = torch.tensor([[0.0], [1.0]], dtype=torch.float64), torch.zeros(2).double()
    else:
        low = 0.0 if isinstance(units, Rectified) else -REACH
        step = STEP[type(units)]
        points = torch.arange(low + step / 2, REACH, step, dtype=torch.float64)[:, None]
        one = points, math.log(step) - points[:, 0].square() / 2
    return _product([one] * units.size)


def _product(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    points, weights = parts[0]
    for more, heavier in parts[1:]:
        points = torch.cat(
            [points.repeat_interleave(len(more), 0), more.repeat(len(points), 1)], dim=1
        )
        weights = (weights[:, None] + heavier).flatten()
    return points, weights


def joint(machine: RestrictedBoltzmann, beta: float = 1.0, base: Tensor | None = None) -> Tensor:
    """(N, M) log p(v, h) + log Z over both grids, from the centred coordinates without their constant.

    With beta, energies are mixed with those of independent units of natural parameters base: (D,).
    """
    (v, own), (h, heavier) = grid(machine.visible_units), grid(machine.hidden_units)
    mu, offset = machine.visible_offset, machine.hidden_offset
    log_p = (v - mu) @ machine.weight.T @ (h - offset).T + h @ machine.hidden
    log_p = log_p + (v @ machine.visible)[:, None] - offset @ machine.weight @ mu
    if base is not None:
        log_p = beta * log_p + (1 - beta) * (v @ base)[:, None]
    return log_p + own[:, None] + heavier


def codes(s: Tensor) -> Tensor:
    """(n,) which side of EDGE each unit of s: (n, size) is on, as a number."""
    places = 2 ** torch.arange(s.shape[1] - 1, -1, -1)
    return ((s > EDGE).long() * places).sum(1)


def masses(s: Tensor, log_p: Tensor) -> Tensor:
    """(2^size,) the probability of each code; log_p: (N,) of the points s: (N, size)."""
    total = torch.zeros(2 ** s.shape[1], dtype=torch.float64)
    return total.index_add(0, codes(s), log_p.softmax(0))


def all_bits(units: int) -> Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=units)), dtype=torch.float64)
