"""The deep belief network: a restricted Boltzmann machine on top of directed layers.

With L layers of hidden units h_1 … h_L over v = h_0,

  p(v, h_1 … h_L) = p(h_{L−1}, h_L) Π_{l<L} p(h_{l−1} | h_l),

the top pair (with a label beside h_{L−1}, if wanted) is a Boltzmann machine, and what is below it is
directed. Trained greedily, machine l on draws of h_{l−1}; then recognition q(h_l | h_{l−1}) and generation
p(h_{l−1} | h_l) share the weights of machine l, unless up–down fine-tuning unties them. For draws of q

  E[w] = Z p(v),   w = exp(−F(h_{L−1})) Π_{l<L} p(h_{l−1} | h_l) / q(h_l | h_{l−1}),

with F and Z of the top machine. E[log w] − log Z is the variational bound, the log of a mean of K
weights a tighter one. Both err low. Where Z is estimated, log Ẑ errs low too, which makes the number
err high: the two errors can cancel.

Geoffrey Hinton, Simon Osindero, Yee-Whye Teh: A Fast Learning Algorithm for Deep Belief Nets. Neural
Computation 2006, https://www.cs.toronto.edu/~hinton/absps/fastnc.pdf. Ruslan Salakhutdinov, Iain Murray:
On the Quantitative Analysis of Deep Belief Networks. ICML 2008. Murray, Salakhutdinov: Evaluating
Probabilities under High-Dimensional Latent Variable Models. NeurIPS 2008 (importance estimates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import (
    AnnealingPath,
    Batch,
    Classifies,
    DataSpec,
    Figure,
    GenerativeModel,
    Guarantee,
    HasEncoder,
    HasEnergy,
    HasFigures,
    Images,
    Stage,
    Support,
    UsageError,
)
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.directed import Layer, descend, rise, tied
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.pictures import classes, filters, reconstructions, spaced
from genlab.models.boltzmann.rbm import RBM
from genlab.models.boltzmann.tie import can_tie, tie
from genlab.models.boltzmann.updown import UpDown
from genlab.nn.precision import full_precision
from genlab.ranges import one_or_more

FROM_DATA = partial(Contrastive, sampler="cd")
EACH_LABEL = 8  # samples in a row of a figure


class DBN(GenerativeModel, HasEnergy, HasEncoder, Classifies, HasFigures):
    """Deep belief network: restricted Boltzmann machines on top of each other (Hinton, Osindero, Teh 2006).

    All but the top one are directed in the end.
    hidden: the units of each layer, from the data upwards; one layer is a restricted Boltzmann machine.
    labels: a label unit beside the visible units of the top machine. learning: contrastive divergence of
    each machine, with its options. tied: begin each machine as the one below upside down, where the sizes
    allow it. up_down: fine-tune all layers together afterwards, in a stage of that name, with ``gibbs``
    steps of the top machine in equal parts of the stage; top_learning teaches the top machine then.
    transitions: of the annealed chain in the top machine that draws samples.

    Raises UnsupportedData for labels=True on data without labels, UsageError for sizes that cannot be.
    """

    def __init__(
        self,
        spec: DataSpec,
        hidden: tuple[int, ...] = (500, 500),
        labels: bool = False,
        learning: Callable[[RestrictedBoltzmann], Contrastive] = Contrastive,
        tied: bool = True,
        up_down: bool = False,
        gibbs: tuple[int, ...] = (3, 6, 10),
        top_learning: Callable[[RestrictedBoltzmann], Contrastive] = FROM_DATA,
        transitions: int = 1000,
    ) -> None:
        super().__init__(spec)
        _require_sane(hidden, up_down, gibbs)
        self.classifies, self.tied = labels, tied
        specs = [spec, *(_hidden_spec(spec, n, size) for n, size in enumerate(hidden[:-1], 1))]
        self.machines: list[RBM] = nn.ModuleList(  # type: ignore[assignment]
            RBM(
                below,
                size,
                labels=labels and below is specs[-1],
                learning=learning,
                transitions=transitions,
            )
            for below, size in zip(specs, hidden, strict=True)
        )
        self.up_down: UpDown | None = None
        if up_down:
            lower = [model.machine for model in self.machines[:-1]]
            self.up_down = UpDown(lower, top_learning(self.top.machine), gibbs)

    @property
    def top(self) -> RBM:
        return self.machines[-1]

    def layers(self) -> list[Layer]:
        """The directed layers, from the data upwards."""
        if self.up_down is not None and self.up_down.begun:
            return self.up_down.layers()
        return self._tied(len(self.machines) - 1)

    def _tied(self, depth: int) -> list[Layer]:
        """The lowest ``depth`` machines as directed layers."""
        return [tied(model.machine.couplings()) for model in self.machines[:depth]]

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        greedy = [
            Stage(
                f"rbm{number}",
                model,
                partial(self._greedy_loss, number - 1),
                lr_schedule="linear",
                begin=partial(self._begin, number - 1),
                about=f"free energy of layer {number} ({model.machine.extra_repr()} units)",
            )
            for number, model in enumerate(self.machines, 1)
        ]
        return [*greedy, *([self._up_down_stage()] if self.up_down is not None else [])]

    def loss(self, batch: Batch) -> Tensor:
        """Contrastive divergence of the first machine (nats)."""
        return self.machines[0].loss(batch)

    def _up_down_stage(self) -> Stage:
        trained = nn.ModuleList([self.machines[0].inputs, self.up_down, self.top.machine])  # type: ignore[list-item]
        return Stage(
            "up_down",
            trained,
            self._up_down_loss,
            lr_schedule="linear",
            begin=self._begin_up_down,
            about="wake–sleep of the directed layers and free energy of the top one",
        )

    def _lifted(self, level: int, batch: Batch) -> Batch:
        """The batch with draws of the hidden units of ``level`` machines in the place of the data."""
        if level == 0:
            return batch
        with torch.no_grad(), full_precision(batch.x.device):
            v, _ = self.machines[0].inputs(batch.x)
            return batch._replace(x=rise(self._tied(level), v)[-1])

    def _greedy_loss(self, level: int, batch: Batch) -> Tensor:
        return self.machines[level].loss(self._lifted(level, batch))

    @torch.no_grad()
    def _begin(self, level: int, batch: Batch) -> None:
        """At the base rates of its data, or where the machine below is; label units have no weights."""
        model, lifted = self.machines[level], self._lifted(level, batch)
        model.machine.weight[:, model.spec.size :].zero_()
        model.begin(lifted)
        if self.tied and level and can_tie(self.machines[level - 1].machine, model.machine):
            v, _ = model.visible(lifted)
            tie(self.machines[level - 1].machine, model.machine, v)

    def _begin_up_down(self, batch: Batch) -> None:
        assert self.up_down is not None
        self.up_down.begin([model.machine.couplings() for model in self.machines[:-1]])

    def _up_down_loss(self, batch: Batch) -> Tensor:
        """Of one step of contrastive wake–sleep (nats), less the scale of Gaussian inputs."""
        assert self.up_down is not None
        v, log_scale = self.machines[0].inputs(batch.x)
        progress = self.global_step / self.stage_steps() if self.global_step else 0.0

        def top(h: Tensor) -> Tensor:
            return self.top.visible(batch._replace(x=h))[0]

        return self.up_down.loss(v, top, progress) - log_scale.mean()

    def rank_state(self) -> dict[str, Tensor]:
        return {
            f"{name} {key}": value
            for name, learner in self._learners().items()
            for key, value in learner.rank_state().items()
        }

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        for name, learner in self._learners().items():
            start = f"{name} "
            own = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            learner.load_rank_state(own)

    def _learners(self) -> dict[str, Contrastive]:
        """By the stage that they teach in."""
        learners = {f"rbm{n}": model.learner for n, model in enumerate(self.machines, 1)}
        return learners | ({"up_down": self.up_down.learner} if self.up_down is not None else {})

    # --------------------------------------------------------------------------------------- energy

    @property
    def unnormalised(self) -> Guarantee:  # type: ignore[override]
        """A bound, as the hidden units are drawn; of one layer, what that is."""
        return Guarantee.LOWER_BOUND if len(self.machines) > 1 else self.top.unnormalised

    @property
    def summable(self) -> int | None:
        """Of the top machine, whose partition function it is."""
        return self.top.summable

    def log_z(self) -> float:
        return self.top.log_z()

    @torch.no_grad()
    def log_unnormalised(self, x: Tensor, k: int = 1, *, generator: Generator) -> Tensor:
        if len(self.machines) == 1:
            return self.top.log_unnormalised(x, k, generator=generator)
        with full_precision(x.device):
            v, log_w = self.machines[0].inputs(x.repeat(k, *[1] * (x.ndim - 1)), generator)
            for layer in self.layers():
                h = layer.up.draw(v, generator)
                log_w = log_w + layer.down.log_prob(v, h) - layer.up.log_prob(h, v)
                v = h
            return (log_w + self.top.log_unnormalised(v, generator=generator)[0]).view(k, -1)

    def path(self, x_train: Tensor, *, generator: Generator) -> AnnealingPath:
        """Of the top machine, from the base rates of what the training data become there."""
        if len(self.machines) == 1:
            return self.top.path(x_train, generator=generator)
        v, _ = self.machines[0].inputs(x_train, generator)
        return self.top.path(rise(self.layers(), v, generator)[-1], generator=generator)

    # ----------------------------------------------------------------------------- labels and codes

    @torch.no_grad()
    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        """(B, C) log p(label | x), by the free energies of the top machine with every label, at the means
        that recognition finds for its visible units.
        """
        with full_precision(x.device):
            return self.top.log_posterior(self._risen_means(x), generator=generator)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, H_L) the mean of the top hidden units, by means from layer to layer."""
        return self.top.encode(self._risen_means(x))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) the mean of the data, by means from layer to layer."""
        return self._seen(self.top.decode(z))

    def _risen_means(self, x: Tensor) -> Tensor:
        """(B, …) what the top machine sees of data x, by means from layer to layer."""
        if len(self.machines) == 1:
            return x
        v = self.machines[0].inputs.mean(x)
        for layer in self.layers():
            v = layer.up.mean(v)
        return v

    def _seen(self, h: Tensor) -> Tensor:
        """(B, *shape) expected data given what the top machine shows: h."""
        if len(self.machines) == 1:
            return h
        for layer in reversed(self.layers()):
            h = layer.down.mean(h)
        return self.machines[0].inputs.expected(h)

    # ------------------------------------------------------------------------------------- sampling

    @torch.no_grad()
    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """An annealed Gibbs chain in the top machine, label: (n,) held fixed, and then draws layer by layer
        downwards.
        """
        h = self.top.sample(n, label=label, generator=generator)
        if len(self.machines) == 1:
            return h
        return self.machines[0].inputs.back(descend(self.layers(), h, generator)[0])

    # -------------------------------------------------------------------------------------- figures

    @torch.no_grad()
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if not self.spec.is_image:
            return
        yield from self._fields()
        if self.spec.support is Support.REAL:
            return  # no picture shows numbers without bounds
        x = batch.x[:8]
        yield reconstructions(x, self.decode(self.encode(x)))
        yield self._walk(generator)
        if self.classifies:
            label = torch.arange(self.spec.classes, device=x.device).repeat_interleave(EACH_LABEL)
            draws = self.sample(len(label), label=label, generator=generator)
            yield classes(draws, self.spec.classes)

    def _fields(self) -> Iterator[Figure]:
        """The weights of each layer, projected down to the pixels."""
        weights = [layer.down.weight.T for layer in self.layers()]
        top = self.top.machine.weight[:, : self.top.spec.size]
        field = torch.eye(self.spec.size, device=top.device)
        for number, weight in enumerate([*weights, top], 1):
            field = weight @ field
            yield filters(field, self.spec.shape, f"filters-{number}", _about_fields(number))

    def _walk(self, generator: Generator) -> Figure:
        states = spaced(self.top.chain(8, None, generator), self.top.transitions)
        seen = [self._seen(self.top.mean_given(v)) for v in states]
        return Figure(
            "chain",
            f"Eight Gibbs chains of {self.top.transitions} transitions in the top machine, annealed from "
            "independent units: the expected image given its hidden units.",
            Images(torch.stack(seen, dim=1)),
            animated=True,
        )


def _hidden_spec(spec: DataSpec, number: int, size: int) -> DataSpec:
    """Of draws of the hidden units of a layer."""
    variant = f"{spec.variant}, hidden units of layer {number}"
    return DataSpec(spec.name, variant, (size,), Support.BINARY, classes=spec.classes)


def _about_fields(number: int) -> str:
    if number == 1:
        return (
            "The weights of hidden units to the pixels: white excites, black inhibits. "
            "The strongest come first."
        )
    return (
        f"What units of layer {number} are about: their weights to the layer below, multiplied by the "
        "weights of that one, and so on down to the pixels. The strongest come first."
    )


def _require_sane(hidden: tuple[int, ...], up_down: bool, gibbs: tuple[int, ...]) -> None:
    one_or_more(1, hidden=hidden, gibbs=gibbs)
    if up_down and len(hidden) == 1:
        raise UsageError(
            f"model.up_down=true needs two layers or more, and model.hidden={list(hidden)} has one"
        )
