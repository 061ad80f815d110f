"""What does a training step of the U-Net cost, beside that of diffusers' with the same layers?

  python benchmarks/unet.py [ROUNDS]

Required: at most 0.8 times a step of diffusers' ``UNet2DModel``, in float32, each in the memory layout that
suits it better, with multiply-adds that differ by at most 10 %. diffusers does not come with genlab:
``pip install --target FOLDER diffusers`` and PYTHONPATH=FOLDER; without it there is nothing to compare.

Both have channels (32, 64, 64), two residual blocks per resolution, groups of an eighth of the channels,
attention with heads of 32 channels at 14×14 and 7×7. A step is one of noise prediction on 64 random images
of 1×28×28, forward, backward and fused Adam, on one thread; steps of all take turns. Times are those of the
processor, ratios medians over rounds. Multiply-adds are those of convolutions and matrix products of a
forward pass, as torch counts them.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from statistics import median

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

# isort: split
import torch
from reporting import table, verdict
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from genlab.nn.unet import UNet

CHANNELS, BLOCKS, ATTENTION = (32, 64, 64), 2, (14, 7)
BATCH, SIZE = 64, 28
REQUIRED, ALIKE = 0.8, 0.1


class Ours(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = UNet((1, SIZE, SIZE), channels=CHANNELS, blocks=BLOCKS, attention=ATTENTION)

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return self.net(x, u).squeeze(-1)


class Diffusers(nn.Module):
    def __init__(self) -> None:
        from diffusers import UNet2DModel

        super().__init__()
        attends = [SIZE // 2**level in ATTENTION for level in range(len(CHANNELS))]
        self.net = UNet2DModel(
            sample_size=SIZE,
            in_channels=1,
            out_channels=1,
            block_out_channels=CHANNELS,
            layers_per_block=BLOCKS,
            down_block_types=tuple(f"{'Attn' * a}DownBlock2D" for a in attends),
            up_block_types=tuple(f"{'Attn' * a}UpBlock2D" for a in reversed(attends)),
            norm_num_groups=8,
            attention_head_dim=32,
        )

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return self.net(x, u).sample


def multiply_adds(network: nn.Module) -> float:
    """Of a forward pass of one image, in millions."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, SIZE, SIZE), torch.zeros(1))
    return counter.get_total_flops() / 2e6


def step(network: nn.Module, layout: torch.memory_format, half: bool) -> Callable[[], None]:
    """One update with this layout, in bfloat16 where it is safe if ``half``."""
    network = network.to(memory_format=layout)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    noise = torch.randn(BATCH, 1, SIZE, SIZE)
    x, u = noise.to(memory_format=layout), torch.linspace(-6, 6, BATCH)

    def update() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = network(x, u)
        optimizer.zero_grad()
        (out.float() - noise).square().mean().backward()
        optimizer.step()

    return update


def timed(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of the processor of each round, which takes one step of each in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round in range(rounds + 1):
        for name, update in steps.items():
            start = time.process_time()
            update()
            if round:  # the first one chooses algorithms
                times[name].append(time.process_time() - start)
    return times


def report(times: dict[str, list[float]]) -> int:
    peers = [each for name, each in times.items() if name.startswith("diffusers float32")]
    best = min(peers, key=median)
    ratios = {k: median(a / b for a, b in zip(v, best, strict=True)) for k, v in times.items()}
    rows = [[name, f"{1e3 * median(v):.0f}", f"{ratios[name]:.2f}"] for name, v in times.items()]
    table(["processor time", "ms a step", "of diffusers' best in float32"], rows)
    ours = min(ratio for name, ratio in ratios.items() if name.startswith("genlab float32"))
    return verdict(ours <= REQUIRED, f"at most {REQUIRED} times diffusers' in float32 ({ours:.2f})")


def main(rounds: int) -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if importlib.util.find_spec("diffusers") is None:
        print("diffusers is not installed: nothing to compare with")
        return 0
    makers = {"genlab": Ours, "diffusers": Diffusers}
    counts = {name: multiply_adds(make()) for name, make in makers.items()}
    for name, count in counts.items():
        print(f"{name}: {count:.0f} million multiply-adds in a forward pass of one image")
    alike = abs(counts["genlab"] / counts["diffusers"] - 1) <= ALIKE
    missed = verdict(alike, "multiply-adds within 10 %")
    layouts = {"": torch.contiguous_format, ", channels last": torch.channels_last}
    steps = {
        f"{name} {'bfloat16' if half else 'float32'}{layout}": step(make(), memory, half)
        for half in (False, True)
        for layout, memory in layouts.items()
        for name, make in makers.items()
        if not (half and layout)
    }
    print(f"batch of {BATCH}, one thread, {rounds} rounds")
    return missed | report(timed(steps, rounds))


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
