"""How much does drawing from MADE cost when each dimension updates only what depends on it?

  python benchmarks/made_sampling.py

Required: the same samples as the naive sampler, which runs the whole network once per dimension, at
least 10 times as fast, on 784 dimensions with 500 hidden units and direct connections.

Both samplers invert the same uniforms. Multiply-adds are counted by torch, per image, and given as a
multiple of one forward pass. Times are medians of REPEATS interleaved draws on one thread, setting the
weights in order included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import torch
from reporting import table, verdict
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from genlab.contracts import DataSpec, Support
from genlab.models.made import MADE
from genlab.models.made.sampling import IncrementalSampler, draw_naively

REQUIRED = 10.0
REPEATS = 3


def model() -> MADE:
    """A network far from uniform: every weight is drawn, those of direct connections too."""
    spec = DataSpec("bits", "fixed", (1, 28, 28), Support.BINARY)
    made = MADE(spec, hidden=(500,), direct=True, order="random").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            width = parameter.shape[-1]
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / width**0.5)
    return made


def incremental(made: MADE, u: Tensor) -> Tensor:
    network = made.network
    return IncrementalSampler(network, made.head, 0, network.positions[0]).draw(u, 1.0, 0.0)[0]


def naive(made: MADE, u: Tensor) -> Tensor:
    return draw_naively(made.network, made.head, 0, u, 1.0, 0.0)


def seconds(draw: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.perf_counter()
    x = draw()
    return time.perf_counter() - start, x


def multiply_adds(work: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // 2


def compare(made: MADE, n: int) -> tuple[float, list[str]]:
    u = torch.rand(n, made.spec.size, generator=torch.Generator().manual_seed(n))
    slow, fast = [], []
    for _ in range(REPEATS):
        slow_seconds, expected = seconds(lambda: naive(made, u))
        fast_seconds, found = seconds(lambda: incremental(made, u))
        assert torch.equal(found, expected), f"{(found != expected).sum()} entries differ"
        slow.append(slow_seconds)
        fast.append(fast_seconds)
    ratio = median(slow) / median(fast)
    return ratio, [str(n), f"{median(slow):.2f}", f"{median(fast):.3f}", f"{ratio:.0f}"]


@torch.no_grad()
def main() -> int:
    torch.set_num_threads(1)
    made = model()
    one = torch.rand(1, made.spec.size, generator=torch.Generator().manual_seed(1))
    forward = multiply_adds(lambda: made.network(one))
    print(f"multiply-adds an image: {forward:,} in one forward pass,")
    print(f"  incremental {multiply_adds(lambda: incremental(made, one)) / forward:.2f} of it,")
    print(f"  naive {multiply_adds(lambda: naive(made, one)) / forward:.0f} times as many")
    results = [compare(made, n) for n in (64, 256)]
    print("seconds to draw n images, the same ones both ways")
    table(["n", "naive", "incremental", "ratio"], [line for _, line in results])
    return verdict(min(ratio for ratio, _ in results) >= REQUIRED, f"ratio >= {REQUIRED:.0f}")


if __name__ == "__main__":
    raise SystemExit(main())
