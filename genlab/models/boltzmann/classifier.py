"""A classifier that starts from a stack of machines (discriminative fine-tuning).

A stack learns from data without labels; a layer of C outputs is put on top of it, and all weights then
descend the cross-entropy −log p(label | x). What the labels have to say is little beside what the data
say, so the fine-tuning need only move the stack's features a little.

Geoffrey Hinton, Ruslan Salakhutdinov: Reducing the Dimensionality of Data with Neural Networks. Science
2006, https://www.cs.toronto.edu/~hinton/absps/science.pdf. Yoshua Bengio, Pascal Lamblin, Dan Popovici,
Hugo Larochelle: Greedy Layer-Wise Training of Deep Networks. NeurIPS 2006.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import (
    Batch,
    Classifies,
    DataSpec,
    Figure,
    HasFigures,
    Images,
    Model,
    Stage,
    Support,
    UnsupportedData,
)
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.feedforward import (
    LEARNING,
    RATE,
    Start,
    climb,
    flat,
    linear_maps,
    machines,
    network,
    pretraining,
    require_sane,
)
from genlab.models.boltzmann.pictures import filters
from genlab.models.boltzmann.stack import Stack
from genlab.ranges import at_least, below_one


class StackClassifier(Model, Classifies, HasFigures):
    """p(label | x) by a network of sigmoid units that were trained without labels.

    hidden: widths of the hidden layers. depth: how many layers, whose widths go round ``hidden``; None
    for as many as it names. start: where the weights come from (``feedforward``). sweeps: over the
    training data, for each machine. dropout: of hidden units, in fine-tuning. learning: contrastive
    divergence with its options.

    Raises UnsupportedData for data without labels, UsageError for a value out of range.
    """

    supports = frozenset({Support.BINARY, Support.LEVELS})

    def __init__(
        self,
        spec: DataSpec,
        hidden: tuple[int, ...] = (500, 500, 2000),
        depth: int | None = None,
        start: Start = "pretrained",
        sweeps: int = 20,
        dropout: float = 0.0,
        learning: Callable[[RestrictedBoltzmann], Contrastive] = LEARNING,
    ) -> None:
        super().__init__(spec)
        if not spec.classes:
            raise UnsupportedData(
                f"StackClassifier needs data with labels; {spec.name} ({spec.variant}) has none"
            )
        require_sane(hidden, start, sweeps)
        at_least(1, depth=depth)
        below_one(dropout=dropout)
        widths = list(itertools.islice(itertools.cycle(hidden), depth or len(hidden)))
        sizes = [spec.size, *widths]
        self.sweeps = sweeps
        self.stack = machines(sizes, learning) if start == "pretrained" else Stack([])
        self.network = network([*sizes, spec.classes], start, dropout)

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        finetune = Stage(
            "finetune",
            self.network,
            self.loss,
            max_epochs=50,
            lr_schedule="cosine",
            begin=self.begin,
            about="cross-entropy of the labels",
        )
        return (*pretraining(self.stack, len(self.stack) * [RATE], self.sweeps), finetune)

    def begin(self, batch: Batch) -> None:
        """Take the machines' weights, where there are machines."""
        for machine, layer in zip(self.stack, linear_maps(self.network), strict=False):
            climb(machine, layer)  # type: ignore[arg-type]

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy (nats)."""
        return self._cross_entropy(batch).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        """The share of wrong answers first: a network whose answers still improve may grow too sure
        of them, and its cross-entropy rises.
        """
        assert batch.label is not None
        wrong = self.network(flat(batch)).argmax(1) != batch.label
        return {"error": wrong.float(), "cross_entropy": self._cross_entropy(batch)}

    def _cross_entropy(self, batch: Batch) -> Tensor:
        """(B,) nats"""
        assert batch.label is not None, "data with classes have labels"
        return F.cross_entropy(self.network(flat(batch)), batch.label, reduction="none")

    def rank_state(self) -> dict[str, Tensor]:
        return self.stack.rank_state()

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        self.stack.load_rank_state(state)

    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        return self.network(x.flatten(1)).log_softmax(1)

    # -------------------------------------------------------------------------------------- figures

    @torch.no_grad()
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if not self.spec.is_image:
            return
        weights = linear_maps(self.network)[0].weight
        yield filters(
            weights,
            self.spec.shape,
            "filters",
            "The weights of the first layer's units to the pixels: white excites, black inhibits. "
            "The strongest come first.",
        )
        if len(self.stack):
            yield self._fine_tuning(weights)
        if batch.label is not None:
            yield self._doubts(batch.x, batch.label)

    def _fine_tuning(self, weights: Tensor, most: int = 16) -> Figure:
        """weights: (H, D) of the first layer."""
        before: Tensor = self.stack[0].weight  # type: ignore[assignment]
        chosen = before.norm(dim=1).argsort(descending=True)[:most]
        pair = torch.stack([before[chosen], weights[chosen]])
        scale = pair.abs().amax(2, keepdim=True).clamp(min=1e-12)
        change = float((weights - before).norm() / before.norm())
        return Figure(
            "fine-tuning",
            f"Weights of {len(chosen)} units of the first layer as they were learned without labels, "
            f"and below each after the fine-tuning, which moved the layer by {100 * change:.0f} % of "
            "its length.",
            Images((0.5 + 0.5 * pair / scale).unflatten(2, self.spec.shape)),
        )

    def _doubts(self, x: Tensor, label: Tensor, columns: int = 12) -> Figure:
        """The surest and the least sure of x: (B, *shape)."""
        sure = self.network(x.flatten(1)).softmax(1).gather(1, label[:, None]).squeeze(1)
        order = sure.argsort(descending=True)
        columns = min(columns, len(x))
        rows = torch.stack([order[:columns], order.flip(0)[:columns]])
        wrong = int((sure < 0.5).sum())
        return Figure(
            "doubts",
            f"Of {len(x)} test data those whose label the network is most sure of, and below those "
            f"to whose label it gives the least probability: from {float(sure.min()):.1g} upwards; "
            f"below one half for {wrong} of them.",
            Images(x[rows]),
        )
