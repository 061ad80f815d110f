"""A deep auto-encoder that starts from a stack of machines, unrolled.

The means of the hidden units, passed up machine after machine, are an encoder; passed down through the
same weights they are a decoder. The top machine has Gaussian hidden units, whose means are the code z.
Both halves then descend the cross-entropy of the data, each with weights of its own:

  x̂ = decode(encode(x)),   −Σ_d x_d log x̂_d + (1 − x_d) log(1 − x̂_d).

A grey level x_d in [0, 1] is taken for the probability of a bit. That is no likelihood of grey levels.

Geoffrey Hinton, Ruslan Salakhutdinov: Reducing the Dimensionality of Data with Neural Networks. Science
2006, https://www.cs.toronto.edu/~hinton/absps/science.pdf
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.contracts import (
    Batch,
    DataSpec,
    Figure,
    HasEncoder,
    HasFigures,
    Images,
    Model,
    Plane,
    Stage,
    Support,
)
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.feedforward import (
    LEARNING,
    RATE,
    Start,
    climb,
    descend,
    flat,
    linear_maps,
    machines,
    network,
    pretraining,
    require_sane,
)
from genlab.models.boltzmann.pictures import filters
from genlab.models.boltzmann.stack import Stack
from genlab.models.boltzmann.units import Gaussian

TOP_RATE = 1e-3  # of the machine whose hidden units are not bounded


class DeepAutoencoder(Model, HasEncoder, HasFigures):
    """Deep auto-encoder: a stack of machines, unrolled and fine-tuned (Hinton & Salakhutdinov 2006).

    hidden: widths from the data upwards, the last of them the code's. start: where the weights come
    from (``feedforward``). sweeps: over the training data, for each machine. learning: contrastive
    divergence with its options.

    Raises UsageError for a value out of range.
    """

    supports = frozenset({Support.BINARY, Support.LEVELS})

    def __init__(
        self,
        spec: DataSpec,
        hidden: tuple[int, ...] = (1000, 500, 250, 30),
        start: Start = "pretrained",
        sweeps: int = 20,
        learning: Callable[[RestrictedBoltzmann], Contrastive] = LEARNING,
    ) -> None:
        super().__init__(spec)
        require_sane(hidden, start, sweeps)
        sizes = [spec.size, *hidden]
        self.code, self.sweeps = hidden[-1], sweeps
        self.stack = machines(sizes, learning, Gaussian) if start == "pretrained" else Stack([])
        self.network = nn.Sequential(network(sizes, start), network(sizes[::-1], start))

    @property
    def encoder(self) -> nn.Module:
        return self.network[0]

    @property
    def decoder(self) -> nn.Module:
        return self.network[1]

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        finetune = Stage(
            "finetune",
            self.network,
            self.loss,
            lr_schedule="cosine",
            begin=self.begin,
            about="cross-entropy of reconstructions",
        )
        rates = [*(len(self.stack) - 1) * [RATE], TOP_RATE][: len(self.stack)]
        return (*pretraining(self.stack, rates, self.sweeps), finetune)

    def begin(self, batch: Batch) -> None:
        """Take the machines' weights, where there are machines, for both ways."""
        ups, downs = linear_maps(self.encoder), linear_maps(self.decoder)[::-1]
        for machine, up, down in zip(self.stack, ups, downs, strict=False):
            climb(machine, up)  # type: ignore[arg-type]
            descend(machine, down)  # type: ignore[arg-type]

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy (nats), summed over a datum."""
        return self._cross_entropy(batch).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        error = (batch.x - self.decode(self.encode(batch.x))).square().flatten(1).sum(1)
        return {"squared_error": error, "cross_entropy": self._cross_entropy(batch)}

    def _cross_entropy(self, batch: Batch) -> Tensor:
        """(B,)"""
        x = flat(batch)
        return F.binary_cross_entropy_with_logits(self.network(x), x, reduction="none").sum(1)

    def rank_state(self) -> dict[str, Tensor]:
        return self.stack.rank_state()

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        self.stack.load_rank_state(state)

    # ---------------------------------------------------------------------------------------- codes

    def encode(self, x: Tensor) -> Tensor:
        """z: (B, hidden[-1])"""
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) in [0, 1]"""
        return self.decoder(z).sigmoid().unflatten(1, self.spec.shape)

    # -------------------------------------------------------------------------------------- figures

    @torch.no_grad()
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if self.code == 2:
            caption = "The codes of test data, which are two numbers each."
            yield Figure("codes", caption, Plane(self.encode(batch.x)[None]))
        if not self.spec.is_image:
            return
        if self.code == 2:
            yield self._atlas(self.encode(batch.x))
        yield self._reconstructions(batch.x[:12])
        yield self._interpolations(batch.x[:12])
        yield filters(
            linear_maps(self.encoder)[0].weight,
            self.spec.shape,
            "filters",
            "The weights of the encoder's first units to the pixels: white excites, black inhibits. "
            "The strongest come first.",
        )

    def _atlas(self, z: Tensor, steps: int = 12) -> Figure:
        """z: (B, 2) codes, which say how much of the plane is shown."""
        across, up = (torch.linspace(float(a.min()), float(a.max()), steps) for a in z.T)
        grid = torch.cartesian_prod(up.flip(0), across).flip(1).to(z)
        return Figure(
            "atlas",
            "What the decoder makes of codes all over the plane, in the place where they lie.",
            Images(self.decode(grid).unflatten(0, (steps, steps))),
        )

    def _reconstructions(self, x: Tensor) -> Figure:
        rows, between = [x, self.decode(self.encode(x))], ""
        if len(self.stack):
            rows.insert(1, self._before(x))
            between = " before the fine-tuning and, last, after it"
        return Figure(
            "reconstructions",
            f"Test data, and below each what comes back from its code of {self.code} numbers{between}.",
            Images(torch.stack(rows)),
        )

    def _before(self, x: Tensor) -> Tensor:
        """(B, *shape) up the stack and down again, by means."""
        h = self.stack.lift(x.flatten(1), len(self.stack), draw=False)
        for machine in reversed(self.stack):
            h = machine.couplings().visible_mean(h)  # type: ignore[union-attr,operator]
        return h.unflatten(1, self.spec.shape)

    def _interpolations(self, x: Tensor, steps: int = 10) -> Figure:
        """Between every other datum and the one after it."""
        first, last = self.encode(x[0::2]), self.encode(x[1::2])
        pairs = min(len(first), len(last))
        if not pairs:
            first, last, pairs = self.encode(x), self.encode(x), len(x)
        at = torch.linspace(0, 1, steps, device=x.device)[:, None]
        z = first[:pairs, None].lerp(last[:pairs, None], at)
        return Figure(
            "interpolations",
            "From the reconstruction of one test datum to that of another, in equal steps of the code.",
            Images(self.decode(z.flatten(0, 1)).unflatten(0, (pairs, steps))),
        )
