"""What does sampling from a diffusion model cost, beside the bare calls of its network?

  python benchmarks/diffusion_sampling.py [ROUNDS]

Required: 64 images of 1×28×28 by DPM-Solver++(2M) with 20 steps (``sampler=dpm``), drawn as
``genlab sample`` draws them, cost at most 1.15 times the 20 bare calls of the network of the same model
without gradients: on bits, which have two levels. With 256 greys the network says 16 numbers for each
pixel, from which the distribution over 256 levels is made at each step; that is shown beside it, and
nothing is required of it.

The network is ``denoiser=unet``, on one thread. Both sides take turns; times are those of the processor,
ratios medians over rounds. The weights are random: no time depends on them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import torch
from reporting import table, verdict

from genlab.contracts import DataSpec, Support
from genlab.models.diffusion import Denoiser, Diffusion, DPMSolver
from genlab.nn.unet import UNet
from genlab.sampling import draw

IMAGES, STEPS, SHAPE = 64, 20, (1, 28, 28)
REQUIRED = 1.15


def model(spec: DataSpec) -> Diffusion:
    network = partial(UNet, channels=(16, 32), dropout=0.1)
    made = Diffusion(spec, denoiser=partial(Denoiser, network=network)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # away from its initialisation, where it says zero
        for weight in made.denoiser.network.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    return made


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


@torch.no_grad()
def bare(made: Diffusion) -> None:
    z, log_snr = torch.randn(IMAGES, *SHAPE), torch.zeros(IMAGES)
    for _ in range(STEPS):
        made.denoiser.network(z, log_snr)


def compare(spec: DataSpec, rounds: int) -> list[float]:
    """Medians: seconds of sampling, of the bare calls, and the ratio."""
    made, sampler = model(spec), DPMSolver(STEPS)
    sampled, called = [], []
    for _ in range(rounds + 1):
        called.append(seconds(lambda: bare(made)))
        sampled.append(seconds(lambda: draw(made, IMAGES, seed=0, sampler=sampler)))
    ratios = [a / b for a, b in zip(sampled[1:], called[1:], strict=True)]
    return [median(sampled[1:]), median(called[1:]), median(ratios)]


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    torch.set_num_threads(1)
    specs = {
        "bits": DataSpec("bits", "", SHAPE, Support.BINARY),
        "256 greys": DataSpec("greys", "", SHAPE, Support.LEVELS, 256),
    }
    measured = {name: compare(spec, rounds) for name, spec in specs.items()}
    print(f"{IMAGES} images of 1×28×28, {STEPS} steps; one thread, medians of {rounds} rounds")
    rows = [[name, *(f"{value:.3f}" for value in row)] for name, row in measured.items()]
    table(["processor time", "s of sampling", "s of bare calls", "ratio"], rows)
    ratio = measured["bits"][-1]
    raise SystemExit(verdict(ratio <= REQUIRED, f"at most {REQUIRED} times on bits"))
