"""The restricted Boltzmann machine as a model. Mathematics: the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    AnnealingPath,
    Batch,
    Classifies,
    Completes,
    DataSpec,
    Evidence,
    Figure,
    GenerativeModel,
    Guarantee,
    HasEncoder,
    HasEnergy,
    HasFigures,
    Images,
    Observed,
    Stage,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.boltzmann.annealed import Known, anneal
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.inputs import inputs_for
from genlab.models.boltzmann.labels import attach, log_joint, with_labels
from genlab.models.boltzmann.path import BaseRatePath
from genlab.models.boltzmann.pictures import (
    classes,
    completions,
    filters,
    reconstructions,
    spaced,
)
from genlab.models.boltzmann.units import Bernoulli, Gaussian, Rectified, Units
from genlab.nn.precision import full_precision
from genlab.ranges import at_least

HIDDEN: dict[str, type[Units]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "rectified": Rectified,
}


class RBM(GenerativeModel, HasEnergy, HasEncoder, Classifies, Completes, HasFigures):
    """Restricted Boltzmann machine: a layer of hidden units above the data (Smolensky 1986, Hinton 2002).

    p(v, h) ∝ exp(hᵀWv + bᵀv + cᵀh): bits as they are, grey levels and reals as Gaussian units.
    hidden: how many hidden units, of the kind ``units``. labels: model the label beside the datum.
    learning: contrastive divergence with its options. transitions: of the annealed Gibbs chain that draws
    samples, the second half of them at the machine itself.

    Raises UnsupportedData for labels=True on data without labels and for unbounded hidden units over
    grey levels or reals, UsageError for values out of range.
    """

    completes = frozenset({Observed})

    def __init__(
        self,
        spec: DataSpec,
        hidden: int = 500,
        units: Literal["bernoulli", "gaussian", "rectified"] = "bernoulli",
        labels: bool = False,
        learning: Callable[[RestrictedBoltzmann], Contrastive] = Contrastive,
        transitions: int = 1000,
    ) -> None:
        super().__init__(spec)
        at_least(1, hidden=hidden, transitions=transitions)
        if units not in HIDDEN:
            raise UsageError(f"model.units={units}: expected {', '.join(HIDDEN)}")
        self.inputs = inputs_for(spec)
        self.classes, self.classifies = (spec.classes if labels else 0), labels
        visible = with_labels(self.inputs.units, spec) if labels else self.inputs.units
        if not (visible.bounded or HIDDEN[units].bounded):
            raise UnsupportedData(
                f"model.units={units} takes BINARY data: over the Gaussian units of {spec.name} there "
                "may be no finite partition function (model.units=bernoulli has one)"
            )
        self.machine = RestrictedBoltzmann(visible, HIDDEN[units](hidden))
        self.learner = learning(self.machine)
        self.transitions = transitions

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        about = f"free energy of {self.machine.extra_repr()} units"
        return (Stage("rbm", self, self.loss, lr_schedule="linear", begin=self.begin, about=about),)

    @torch.no_grad()
    def begin(self, batch: Batch) -> None:
        """Start from the independent model."""
        self.inputs.begin(batch.x)
        v, _ = self.visible(batch)
        self.learner.begin(v)

    def loss(self, batch: Batch) -> Tensor:
        """Contrastive divergence (nats), less the scale of Gaussian inputs, which is learned too."""
        v, log_scale = self.visible(batch)
        return self.learner.loss(v) - log_scale.mean()

    def rank_state(self) -> dict[str, Tensor]:
        return self.learner.rank_state()

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        self.learner.load_rank_state(state)

    def visible(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Visible units (B, D) or, with labels, (B, D + C); and the scale (B,)."""
        v, log_scale = self.inputs(batch.x)
        if self.classes:
            assert batch.label is not None, "data with classes have labels"
            v = attach(v, batch.label, self.classes)
        return v, log_scale

    # --------------------------------------------------------------------------------------- energy

    @property
    def unnormalised(self) -> Guarantee:  # type: ignore[override]
        """Of grey levels, which are drawn inside their cells, a bound."""
        return Guarantee.LOWER_BOUND if self._noisy else Guarantee.EXACT

    @property
    def summable(self) -> int | None:
        return self.machine.summable

    def log_z(self) -> float:
        return self.machine.log_z()

    def log_unnormalised(self, x: Tensor, k: int = 1, *, generator: Generator) -> Tensor:
        draws = [self.inputs(x, generator) for _ in range(k if self._noisy else 1)]
        each = torch.stack([self._log_p(v) + log_scale for v, log_scale in draws])
        return each.expand(k, -1)

    def path(self, x_train: Tensor, *, generator: Generator) -> AnnealingPath:
        v, _ = self.inputs(x_train, generator)
        base = self.inputs.units.natural(v)
        return self._path(torch.cat([base, self.machine.base[self.spec.size :]]))

    @property
    def _noisy(self) -> bool:
        return self.spec.support is Support.LEVELS

    def _log_p(self, v: Tensor) -> Tensor:
        """(n,) log p(v) + log Z, labels summed out."""
        if not self.classes:
            return -self.machine.free_energy(v)
        with full_precision(v.device):
            return log_joint(self.machine.couplings(), v, self.classes).logsumexp(1)

    def _path(self, base: Tensor) -> BaseRatePath:
        return BaseRatePath(self.machine.couplings().copy(), base)

    # ----------------------------------------------------------------------------- labels and codes

    @torch.no_grad()
    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        """(B, C) log p(label | x), by the free energies of x with every label; of grey levels, at the
        middle of their cells.
        """
        v = self.inputs.mean(x)
        with full_precision(v.device):
            return log_joint(self.machine.couplings(), v, self.classes).log_softmax(1)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, H) E[h | x]; an unknown label has its mean."""
        v = self.inputs.mean(x)
        if self.classes:
            base = self.machine.base[self.spec.size :].softmax(0)
            v = torch.cat([v, base.expand(len(v), -1)], dim=1)
        plain = self.machine.couplings()
        return plain.hidden_units.mean(plain.activation(v))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) E[x | h = z]."""
        v = self.machine.couplings().visible_mean(z)
        return self.inputs.expected(v[:, : self.spec.size])

    # ------------------------------------------------------------------------------------- sampling

    @torch.no_grad()
    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """The ends of annealed Gibbs chains; label: (n,) holds the label units fixed."""
        known = None if label is None else self._known_label(label)
        *_, v = self.chain(n, known, generator)
        return self._data(v)

    @torch.no_grad()
    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): the ends of annealed Gibbs chains in which the observed units are held
        fixed.
        """
        if not isinstance(evidence, Observed):
            raise UsageError(f"RBM completes Observed evidence, not {type(evidence).__name__}")
        known = self._known_part(evidence, n, generator)
        if label is not None:
            fixed = self._known_label(label.repeat(n))
            known = Known(torch.where(fixed.mask, fixed.v, known.v), fixed.mask | known.mask)
        *_, v = self.chain(len(known.v), known, generator)
        x, mask = (t.repeat(n, *[1] * (t.ndim - 1)) for t in (evidence.x, evidence.mask))
        return torch.where(mask, x, self._data(v)).unflatten(0, (n, -1))

    def chain(self, n: int, known: Known | None, generator: Generator) -> Iterator[Tensor]:
        """(n, D) states of annealed Gibbs chains, of which samples are the last."""
        path = self._path(self.machine.base)
        return anneal(path, n, self.transitions, known=known, generator=generator)

    def _known_label(self, label: Tensor) -> Known:
        if not self.classes:
            raise UsageError("this model has no label units: train it with model.labels=true")
        v = attach(self.machine.base.new_zeros(len(label), self.spec.size), label, self.classes)
        mask = torch.zeros_like(v, dtype=torch.bool)
        mask[:, self.spec.size :] = True
        return Known(v, mask)

    def _known_part(self, evidence: Observed, n: int, generator: Generator) -> Known:
        """Of n chains for each piece of evidence, all chains of the first draw first."""
        x, mask = (t.repeat(n, *[1] * (t.ndim - 1)) for t in (evidence.x, evidence.mask))
        v, _ = self.inputs(x, generator)
        nothing = v.new_zeros(len(v), self.classes)
        return Known(torch.cat([v, nothing], 1), torch.cat([mask.flatten(1), nothing.bool()], 1))

    def _data(self, v: Tensor) -> Tensor:
        return self.inputs.back(v[:, : self.spec.size])

    # -------------------------------------------------------------------------------------- figures

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if not self.spec.is_image:
            return
        yield filters(
            self.machine.weight[:, : self.spec.size],
            self.spec.shape,
            "filters",
            "The weights of hidden units to the pixels: white excites, black inhibits. "
            "The strongest come first.",
        )
        if self.spec.support is Support.REAL:
            return
        x = batch.x[:8]
        yield reconstructions(x, self.decode(self.encode(x)))
        yield self._on_the_way(generator)
        mask = torch.zeros_like(x, dtype=torch.bool)
        mask[..., : x.shape[-2] // 2, :] = True
        yield completions(x, mask, self.complete(Observed(x, mask), 6, generator=generator))
        if self.classes:
            label = torch.arange(self.classes, device=x.device).repeat_interleave(8)
            draws = self.sample(len(label), label=label, generator=generator)
            yield classes(draws, self.classes)

    def _on_the_way(self, generator: Generator) -> Figure:
        states = spaced(self.chain(8, None, generator), self.transitions)
        means = [self.mean_given(v) for v in states]
        return Figure(
            "chain",
            f"Eight Gibbs chains of {self.transitions} transitions, annealed from independent pixels to "
            "the machine: the expected image given the hidden units.",
            Images(torch.stack(means, dim=1)),
            animated=True,
        )

    @torch.no_grad()
    def mean_given(self, v: Tensor) -> Tensor:
        """(n, *shape) E[x | E[h | v]]."""
        plain = self.machine.couplings()
        h = plain.hidden_units.mean(plain.activation(v))
        return self.inputs.expected(plain.visible_mean(h)[:, : self.spec.size])
