"""Networks for data of any shape: z, the log-SNR and the label become one vector, and a trunk maps it.

Three trunks: a multilayer perceptron, a residual network, in which each block adds to what it is given
(He, Zhang, Ren, Sun 2016, "Identity Mappings in Deep Residual Networks", arXiv 1603.05027), and a
densely connected one, in which each layer sees all before it (Huang, Liu, van der Maaten, Weinberger 2017,
"Densely Connected Convolutional Networks", arXiv 1608.06993). All are fully connected, and their last
layer is zero at initialisation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from genlab.nn.embedding import FourierFeatures, LabelEmbedding
from genlab.nn.initialisation import Scheme, initialise, zeroed
from genlab.nn.mlp import MLP, nonlinearity
from genlab.ranges import at_least, below_one, one_or_more


class Flat(nn.Module, ABC):
    """z: (B, *shape), log_snr: (B,) and, of data with classes, label: (B,) to (B, *shape, outputs), all
    entries seen by all.

    z and the features of log_snr enter the first layer, ``width`` units, with equal weight however few
    entries z has. fourier: numbers n, for each of which sin(2^n π z) and cos(2^n π z) stand beside z
    (Kingma, Salimans, Poole, Ho 2021, "Variational Diffusion Models", arXiv 2107.00630, appendix C).
    Neighbouring ones of L levels lie 2/(L-1) apart, which n = log2((L-1)/2) sees as alternating signs:
    3 for 17 levels, 7 for 256.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        width: int,
        classes: int,
        fourier: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.shape, self.fourier = (*shape, outputs), fourier
        features, size = FourierFeatures(), math.prod(shape)
        self.of_z = nn.Linear(size * (1 + 2 * len(fourier)), width)
        self.of_time = nn.Sequential(features, nn.Linear(features.features, width, bias=False))
        self.of_label = LabelEmbedding(classes, width) if classes else None

    @abstractmethod
    def trunk(self, h: Tensor) -> Tensor:
        """h: (B, width), linear in z, to (B, entries * outputs)."""

    def forward(self, z: Tensor, log_snr: Tensor, label: Tensor | None = None) -> Tensor:
        h = self.of_z(self._waves(z.flatten(1))) + self.of_time(log_snr)
        if self.of_label is not None:
            h = h + self.of_label.of(label, len(z))
        return self.trunk(h).view(len(z), *self.shape)

    def _waves(self, z: Tensor) -> Tensor:
        phases = [z * (2.0**n * math.pi) for n in self.fourier]
        return torch.cat([z, *(p.sin() for p in phases), *(p.cos() for p in phases)], 1)


class Dense(Flat):
    """A multilayer perceptron of ``hidden`` units (``Flat`` says what goes in and what comes out).

    init: how the first weights are drawn (``nn.initialisation``). The default is large enough to bend
    from the start: smaller weights leave a network of few inputs linear for thousands of updates.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int = 1,
        hidden: tuple[int, ...] = (512, 512, 512),
        activation: str = "silu",
        dropout: float = 0.1,
        classes: int = 0,
        init: Scheme = "he",
        fourier: tuple[int, ...] = (),
    ) -> None:
        one_or_more(1, hidden=hidden)
        below_one(dropout=dropout)
        super().__init__(shape, outputs, hidden[0], classes, fourier)
        self.bend = nn.Sequential(nonlinearity(activation), nn.Dropout(dropout))
        size = math.prod(self.shape)
        self.layers = MLP(hidden[0], hidden[1:], size, activation, dropout)
        zeroed(self.layers[-1])
        initialise(self, init)

    def trunk(self, h: Tensor) -> Tensor:
        return self.layers(self.bend(h))


class ResNet(Flat):
    """``blocks`` residual blocks of ``width`` units (``Flat`` says what goes in and what comes out).

    Each starts as the identity, so that depth costs nothing at first. init: of the other weights.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int = 1,
        width: int = 512,
        blocks: int = 2,
        activation: str = "silu",
        dropout: float = 0.1,
        classes: int = 0,
        init: Scheme = "he",
        fourier: tuple[int, ...] = (),
    ) -> None:
        at_least(1, width=width, blocks=blocks)
        below_one(dropout=dropout)
        super().__init__(shape, outputs, width, classes, fourier)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width, activation, dropout) for _ in range(blocks))
        )
        self.leave = nn.Sequential(
            nn.LayerNorm(width),
            nonlinearity(activation),
            zeroed(nn.Linear(width, math.prod(self.shape))),
        )
        initialise(self, init)

    def trunk(self, h: Tensor) -> Tensor:
        return self.leave(self.blocks(h))


class ResidualBlock(nn.Module):
    """h: (B, width) to h + f(h), with f normalisation, nonlinearity and linear map, twice; f = 0 at
    initialisation.

    Each vector is normalised by itself (Ba, Kiros, Hinton 2016, "Layer Normalization", arXiv
    1607.06450): statistics of a batch would mix the log-SNRs in it.
    """

    def __init__(self, width: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(width),
            nonlinearity(activation),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nonlinearity(activation),
            nn.Dropout(dropout),
            zeroed(nn.Linear(width, width)),
        )

    def forward(self, h: Tensor) -> Tensor:
        return h + self.inner(h)


class DenseNet(Flat):
    """``blocks`` layers of ``growth`` units, each of which sees the first ``width`` units and all layers
    before it, as does the output (``Flat`` says what goes in and what comes out).

    Each layer normalises what it sees, vector by vector as in ``ResidualBlock``. init: of all weights but
    the last.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int = 1,
        width: int = 512,
        blocks: int = 4,
        growth: int = 256,
        activation: str = "silu",
        dropout: float = 0.1,
        classes: int = 0,
        init: Scheme = "he",
        fourier: tuple[int, ...] = (),
    ) -> None:
        at_least(1, width=width, blocks=blocks, growth=growth)
        below_one(dropout=dropout)
        super().__init__(shape, outputs, width, classes, fourier)

        def layer(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(
                nn.LayerNorm(before),
                nonlinearity(activation),
                nn.Dropout(dropout),
                nn.Linear(before, after),
            )

        self.layers = nn.ModuleList(layer(width + i * growth, growth) for i in range(blocks))
        self.leave = layer(width + blocks * growth, math.prod(self.shape))
        zeroed(self.leave[-1])
        initialise(self, init)

    def trunk(self, h: Tensor) -> Tensor:
        for layer in self.layers:
            h = torch.cat([h, layer(h)], 1)
        return self.leave(h)
