"""Networks for data of any shape: an MLP that sees z and the log-SNR side by side."""

from __future__ import annotations

import math

from torch import Tensor, nn

from genlab.nn.embedding import FourierFeatures, LabelEmbedding
from genlab.nn.mlp import MLP, nonlinearity


class Dense(nn.Module):
    """z: (B, *shape), log_snr: (B,) and, of data with classes, label: (B,) to (B, *shape, outputs), all
    entries seen by all.

    z and the features of log_snr enter the first layer with equal weight however few entries z has,
    and the weights are large enough to bend from the start (He et al. 2015, "Delving Deep into
    Rectifiers", arXiv 1502.01852): smaller ones leave a network of few inputs linear for thousands of
    updates. The last layer is zero at initialisation.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int = 1,
        hidden: tuple[int, ...] = (512, 512, 512),
        activation: str = "silu",
        dropout: float = 0.1,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.shape, size, first = (*shape, outputs), math.prod(shape), hidden[0]
        features = FourierFeatures()
        self.of_z = nn.Linear(size, first)
        self.of_time = nn.Sequential(features, nn.Linear(features.features, first, bias=False))
        self.of_label = LabelEmbedding(classes, first) if classes else None
        self.bend = nn.Sequential(nonlinearity(activation), nn.Dropout(dropout))
        self.layers = MLP(first, hidden[1:], size * outputs, activation, dropout)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, z: Tensor, log_snr: Tensor, label: Tensor | None = None) -> Tensor:
        h = self.of_z(z.flatten(1)) + self.of_time(log_snr)
        if self.of_label is not None:
            h = h + self.of_label.of(label, len(z))
        return self.layers(self.bend(h)).view(len(z), *self.shape)
