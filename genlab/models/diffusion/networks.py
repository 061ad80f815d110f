"""Networks for data of any shape: an MLP that sees z and the log-SNR side by side."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genlab.nn.embedding import FourierFeatures
from genlab.nn.mlp import MLP


class Dense(nn.Module):
    """z: (B, *shape) and log_snr: (B,) to (B, *shape, outputs), all entries seen by all.

    The last layer is zero at initialisation.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int = 1,
        hidden: tuple[int, ...] = (512, 512),
        activation: str = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape, size = (*shape, outputs), math.prod(shape)
        self.features = FourierFeatures()
        self.layers = MLP(
            size + self.features.features, hidden, size * outputs, activation, dropout
        )
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, z: Tensor, log_snr: Tensor) -> Tensor:
        inputs = torch.cat([z.flatten(1), self.features(log_snr)], dim=1)
        return self.layers(inputs).view(len(z), *self.shape)
