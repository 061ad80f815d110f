"""How close does annealing come to the speed of the matrix products that it cannot do without?

  python benchmarks/annealing.py [TEMPERATURES]

Required: annealed importance sampling of a restricted Boltzmann machine of 784 × 500 units with 100 chains
takes at most twice as long as the two products of each temperature, (100, 784) by (784, 500) and
(100, 500) by (500, 784), take by themselves on this machine.

The schedule is that of Salakhutdinov & Murray (2008), 14,500 temperatures; by default a tenth of each of
its pieces is run, and the time of all is extrapolated. Stretches of annealing and of bare products take
turns, in one process on one thread; the ratio is the median over the stretches. The weights are drawn, not
learned: no step depends on them.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import torch
from reporting import table, verdict

from genlab.likelihood.annealing import SALAKHUTDINOV_MURRAY, anneal, schedule
from genlab.models.boltzmann import BaseRatePath, RestrictedBoltzmann

REQUIRED = 0.5
CHAINS, VISIBLE, HIDDEN = 100, 784, 500
STRETCH = 50  # temperatures
OPERATIONS = (
    2 * 2 * CHAINS * VISIBLE * HIDDEN
)  # of the two products: a multiplication and an addition


def machine(generator: torch.Generator) -> BaseRatePath:
    energy = RestrictedBoltzmann(VISIBLE, HIDDEN)
    energy.weight.data = 0.05 * torch.randn(HIDDEN, VISIBLE, generator=generator)
    return BaseRatePath(energy.couplings(), torch.randn(VISIBLE, generator=generator))


def products(generator: torch.Generator) -> Callable[[int], None]:
    """The two products, as often as is asked."""
    weight = torch.randn(HIDDEN, VISIBLE, generator=generator)
    v, h = (torch.randn(CHAINS, units, generator=generator) for units in (VISIBLE, HIDDEN))
    to_h, to_v = torch.empty_like(h), torch.empty_like(v)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(v, weight.T, out=to_h)
            torch.mm(h, weight, out=to_v)

    return multiply


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(betas: list[float]) -> list[tuple[float, float]]:
    """Seconds a temperature of every stretch: annealing, and the products alone."""
    generator = torch.Generator().manual_seed(0)
    path, multiply = machine(generator), products(generator)
    state, times = path.start(CHAINS, generator=generator), []
    multiply(STRETCH)
    for first in range(0, len(betas) - 1, STRETCH):
        stretch = betas[first : first + STRETCH + 1]
        n = len(stretch) - 1
        ours, (_, state) = seconds(lambda b=stretch, s=state: anneal(path, b, s, generator))
        bare, _ = seconds(lambda n=n: multiply(n))
        times.append((ours / n, bare / n))
    return times


@torch.no_grad()
def main(temperatures: int) -> int:
    torch.set_num_threads(1)
    whole = sum(n for _, n in SALAKHUTDINOV_MURRAY)
    pieces = tuple((end, max(1, n * temperatures // whole)) for end, n in SALAKHUTDINOV_MURRAY)
    betas = schedule(pieces)
    times = measure(betas)
    ratio = median(bare / ours for ours, bare in times)
    rows = []
    for name, each in zip(("annealing", "products alone"), zip(*times, strict=True), strict=True):
        rate = OPERATIONS / median(each) / 1e9
        rows.append(
            [name, f"{1e3 * median(each):.2f}", f"{rate:.0f}", f"{whole * median(each):.0f}"]
        )
    print(f"{len(betas) - 1} temperatures, {CHAINS} chains, {VISIBLE} × {HIDDEN} units")
    table(["medians", "ms a temperature", "GFLOP/s", f"s for {whole}"], rows)
    total = sum(ours * n for (ours, _), n in zip(times, lengths(betas), strict=True))
    print(
        f"these temperatures took {total:.1f} s; annealing reaches {ratio:.0%} of the products' rate"
    )
    return verdict(ratio >= REQUIRED, f"at least {REQUIRED:.0%} of the rate of the products")


def lengths(betas: list[float]) -> list[int]:
    """Temperatures in each stretch."""
    ends = [*range(0, len(betas) - 1, STRETCH), len(betas) - 1]
    return [b - a for a, b in itertools.pairwise(ends)]


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1450))
