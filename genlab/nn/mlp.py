"""A multilayer perceptron: linear maps with a nonlinearity between them."""

from __future__ import annotations

from torch import nn

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
        raise UsageError(f"no activation {name!r}; choose one of {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]()


class MLP(nn.Sequential):
    """(…, inputs) to (…, outputs) through layers of ``hidden`` units, each followed by dropout."""

    def __init__(
        self,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(inputs, width), nonlinearity(activation)]
            if dropout:
                layers.append(nn.Dropout(dropout))
            inputs = width
        super().__init__(*layers, nn.Linear(inputs, outputs))
