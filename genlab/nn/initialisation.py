"""First weights: what a linear map or a convolution does to the variance of its inputs before training.

With fan_in inputs to each output and fan_out outputs from each input, weights are drawn with mean 0 and

    "xavier"      uniform, variance 2 / (fan_in + fan_out): a compromise between signals on the way
                  forward and gradients on the way back, for linear or odd nonlinearities
    "he"          normal, variance 2 / fan_in: keeps the size of signals through rectifiers, which
                  take away half of it
    "orthogonal"  orthonormal rows or columns, whichever are fewer: no direction grows or shrinks

- Glorot, Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
  https://proceedings.mlr.press/v9/glorot10a.html
- He, Zhang, Ren, Sun 2015, "Delving Deep into Rectifiers", arXiv 1502.01852
- Saxe, McClelland, Ganguli 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear
  neural networks", arXiv 1312.6120
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from torch import Tensor, nn

from genlab.contracts import UsageError

M = TypeVar("M", bound=nn.Module)
Scheme = Literal["xavier", "he", "orthogonal"]

SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_uniform_,
    "he": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}


def initialise(network: nn.Module, scheme: Scheme) -> None:
    """Draw the weights of every linear map and convolution anew; biases stay as they are.

    Layers that are zero stay zero: they make a block start as the identity, or a network as zero.
    Raises UsageError for an unknown scheme.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"init={scheme}: expected {', '.join(SCHEMES)}")
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight.count_nonzero():
            SCHEMES[scheme](layer.weight)


def zeroed(layer: M) -> M:
    """The layer with zero weights and biases."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
