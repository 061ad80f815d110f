"""A training step of the tensorised network against loops over its regions, and against bare einsums.

    python plugins/genlab-spn/benchmarks/speed.py

Forward and backward of the mean log-likelihood, one thread, the median of some rounds in which all take
turns. The loop in the log domain is what one writes down first; the other loop has the package's own
layer, called for one region at a time, so that it shows what batching alone is worth. The bare einsums
have the sizes of all levels and of the leaves, but neither logarithms nor exponentials nor normalised
weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genlab.contracts import DataSpec, Support
from genlab_spn import RandomSPN
from genlab_spn.tensorised import log_einsum_exp

Layer = Callable[[Tensor, Tensor, Tensor], Tensor]


def log_domain(a: Tensor, b: Tensor, log_weight: Tensor) -> Tensor:
    """(B, K) sums of one region over the products of a: (B, I) and b: (B, I)."""
    products = (a.unsqueeze(2) + b.unsqueeze(1)).flatten(1)
    return (products.unsqueeze(2) + log_weight).logsumexp(1)


def one_region(a: Tensor, b: Tensor, log_weight: Tensor) -> Tensor:
    return log_einsum_exp(torch.stack([a, b]), log_weight.unsqueeze(0)).squeeze(0)


def looped(model: RandomSPN, x: Tensor, layer: Layer) -> Tensor:
    """(B,) log p, region by region: leaves, levels, root."""
    leaves, *levels, root = model._naturals()
    known = model.families[0].statistics(x)
    nodes = []
    for members, eta in zip(model.members.tolist(), leaves, strict=True):
        own = [(known[:, d] @ eta[s]) for s, d in enumerate(members) if d < model.spec.size]
        nodes.append(torch.stack(own).sum(0))
    for log_weight in levels:
        nodes = [layer(nodes[2 * r], nodes[2 * r + 1], w) for r, w in enumerate(log_weight)]
    return (torch.cat(nodes, 1) + root.flatten()).logsumexp(1)


def einsums(model: RandomSPN, batch: int) -> Callable[[], Tensor]:
    """The bare contractions of the same sizes, on random numbers."""
    regions, slots = model.members.shape
    statistics_ = torch.rand(regions, batch, slots * model.families[0].params)
    leaves = torch.rand(regions, statistics_.shape[2], model.theta[0].shape[3], requires_grad=True)
    weights = []
    for theta in list(model.theta)[1:-1]:
        width = round(theta.shape[1] ** 0.5)
        weights.append(torch.rand(len(theta), width, width, theta.shape[2], requires_grad=True))

    def run() -> Tensor:
        values = torch.einsum("pbf,pfi->pbi", statistics_, leaves)
        for weight in weights:
            values = torch.einsum("pbi,pbj,pijk->pbk", values[::2], values[1::2], weight)
        return values.sum()

    return run


def times(steps: Sequence[Callable[[], Tensor]], rounds: int) -> list[float]:
    """Median milliseconds of each step with its backward pass."""
    taken: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for own, step in zip(taken, steps, strict=True):
            start = time.perf_counter()
            step().backward()
            own.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(own[1:]) for own in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=69, help="entries of a datum")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = RandomSPN(DataSpec("bits", "random", (options.size,), Support.BINARY))
    x = torch.randint(2, (options.batch, options.size)).float()
    for layer in (log_domain, one_region):
        torch.testing.assert_close(looped(model, x, layer), model.log_prob(x))
    steps = {
        "batched log-einsum-exp": lambda: model.log_prob(x).mean(),
        "loop over regions, log domain": lambda: looped(model, x, log_domain).mean(),
        "loop over regions, same layer": lambda: looped(model, x, one_region).mean(),
        "bare einsums of the same size": einsums(model, options.batch),
    }
    own, *others = times(list(steps.values()), options.rounds)
    sizes = f"{len(model.members)} leaf regions, depth {model.depth}, batch {options.batch}"
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {sizes}")
    for name, spent in zip(steps, [own, *others], strict=True):
        print(f"{name:32}{spent:8.1f} ms   {spent / own:6.2f} of the batched step")


if __name__ == "__main__":
    main()
