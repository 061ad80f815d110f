"""A multilayer perceptron: linear maps with a nonlinearity between them."""

from __future__ import annotations

from torch import Tensor, nn

from genlab.contracts import UsageError

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
    """Batch normalisation that takes a batch of one, which has no variance, by the running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return nn.functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)


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
