"""A multilayer perceptron: linear maps with a nonlinearity between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genlab.contracts import UsageError
from genlab.together import mean_of_processes, processes

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def nonlinearity(name: str) -> nn.Module:
    """The nonlinearity of this name; UsageError lists the names."""
    if name not in ACTIVATIONS:
        raise UsageError(f"activation={name}: expected {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]()


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, D), over the batches of all processes together.

    A batch of one, which has no variance, is taken by the running statistics.
    """

    def forward(self, input: Tensor) -> Tensor:
        world, _ = processes()
        if self.training and len(input) * world == 1:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        if not self.training or world == 1:
            return super().forward(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        mean = mean_of_processes(x.mean(0))
        variance = mean_of_processes((x - mean).square().mean(0))
        self._follow(mean, variance, len(x) * world)
        normalised = (x - mean) * (variance + self.eps).rsqrt()
        return (self.weight * normalised + self.bias).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, n: int) -> None:
        """Move the running statistics towards those of n data."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype) * n / (n - 1), self.momentum)


class MLP(nn.Sequential):
    """(…, inputs) to (…, outputs) through layers of ``hidden`` units, each followed by dropout.

    normalise: batch normalisation before each nonlinearity (Ioffe & Szegedy 2015), of (B, inputs).
    """

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int,
        activation: str = "relu",
        dropout: float = 0.0,
        normalise: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        for width in hidden:
            layers.append(nn.Linear(inputs, width))
            if normalise:
                layers.append(BatchNorm(width))
            layers.append(nonlinearity(activation))
            if dropout:
                layers.append(nn.Dropout(dropout))
            inputs = width
        super().__init__(*layers, nn.Linear(inputs, outputs))
