"""DRAW as a model: bound, importance weights, codes and samples. Mathematics: the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import (
    Batch,
    DataSpec,
    Figure,
    GenerativeModel,
    Guarantee,
    HasEncoder,
    HasFigures,
    HasImportanceWeights,
    HasLikelihood,
    LogLikelihood,
    Measure,
    Stage,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.draw import gaussian, pictures
from genlab.models.draw.attention import Window
from genlab.models.draw.gaussian import Gaussian
from genlab.models.draw.glimpses import Read, ReadAll, ReadWindow, Write, WriteAll, WriteWindow
from genlab.nn.heads import Bernoulli, LogisticMixture
from genlab.randomness import randn_like
from genlab.ranges import at_least
from genlab.together import mean_of_processes

Noise = Callable[[Tensor], Tensor]  # standard noise of the shape of a mean


class Glimpse(NamedTuple):
    """canvas: (B, *shape, params) after it. z: (B, Z), of which p is the prior and q the posterior, if
    a datum was seen. read and write: the windows, if there are any.
    """

    canvas: Tensor
    z: Tensor
    p: Gaussian
    q: Gaussian | None
    read: Window | None
    write: Window | None


class DRAW(GenerativeModel, HasLikelihood, HasImportanceWeights, HasEncoder, HasFigures):
    """Deep recurrent attentive writer: a variational auto-encoder that paints (Gregor et al. 2015).

    glimpses: T. hidden: units of each LSTM. latent: size of each z_t. read, write: N of a window of N ×
    N filters; None reads and writes everything. components: of the logistic mixture of each grey level.
    autoregressive: let the prior of z_t follow from h_{t−1}; else it is N(0, I). warm_up: steps in
    which the divergences' weight rises from 0 to 1. free_bits: nats for each glimpse below which its
    divergence, as the mean of a batch, is not pushed.

    Raises UnsupportedData for windows on data that are no images, UsageError for values out of range.
    """

    supports = frozenset({Support.BINARY, Support.LEVELS})
    guarantee = Guarantee.LOWER_BOUND

    def __init__(
        self,
        spec: DataSpec,
        glimpses: int = 10,
        hidden: int = 256,
        latent: int = 16,
        read: int | None = None,
        write: int | None = None,
        components: int = 1,
        autoregressive: bool = False,
        warm_up: int = 0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__(spec)
        at_least(1, glimpses=glimpses, hidden=hidden, latent=latent, read=read, write=write)
        at_least(0, warm_up=warm_up, free_bits=free_bits)
        at_least(1, components=components)
        if (read or write) and not spec.is_image:
            raise UnsupportedData(
                f"a window looks at images; {spec.name} is none: leave read and write out"
            )
        for name, n in {"read": read, "write": write}.items():
            if n is not None and n > max(spec.shape[1:]):
                raise UsageError(
                    f"{name}={n} is a window of more filters than {spec.name} has pixels, "
                    f"{spec.shape[1]}x{spec.shape[2]}: leave it out to {name} the whole picture"
                )
        self.glimpses, self.hidden, self.latent = glimpses, hidden, latent
        self.warm_up, self.free_bits = warm_up, free_bits
        self.head = (
            Bernoulli() if spec.support is Support.BINARY else LogisticMixture(spec, components)
        )
        channels, height, width = spec.shape if spec.is_image else (1, 1, spec.size)
        seen = (2 * channels, height, width)
        painted = (self.head.params * channels, height, width)
        self.read: Read = ReadWindow(read, seen, hidden) if read else ReadAll(seen)
        self.write: Write = (
            WriteWindow(write, painted, hidden) if write else WriteAll(painted, hidden)
        )
        self.weight: Tensor
        self.register_buffer("weight", torch.ones(()), persistent=False)
        self.canvas = nn.Parameter(torch.zeros(*spec.shape, self.head.params))
        self.encoder = nn.LSTMCell(self.read.size + hidden, hidden)
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.decoder = nn.LSTMCell(latent, hidden)
        self.prior = nn.Linear(hidden, 2 * latent) if autoregressive else None
        if self.prior is not None:  # N(0, I) at first
            nn.init.zeros_(self.prior.weight)
            nn.init.zeros_(self.prior.bias)

    # -------------------------------------------------------------------------------------- glimpses

    def look(self, x: Tensor, noise: Noise) -> Iterator[Glimpse]:
        """T glimpses of x: (B, *shape), with z_t the draws of the posterior that noise makes."""
        state = self._blank(len(x))
        e = (x.new_zeros(len(x), self.hidden),) * 2
        for _ in range(self.glimpses):
            error = x - self.shown(state.canvas)
            r, where = self.read(self._side_by_side(x, error), state.h)
            e = self.encoder(torch.cat([r, state.h], dim=1), e)
            p, q = self._prior(state.h), gaussian.of(self.posterior(e[0]))
            z = q.at(noise(q.mean))
            state, writing = self._paint(z, state)
            yield Glimpse(state.canvas, z, p, q, where, writing)

    def imagine(self, n: int, draw: Callable[[Gaussian], Tensor]) -> Iterator[Glimpse]:
        """T glimpses of nothing, with z_t: (n, Z) drawn from its prior by ``draw``."""
        state = self._blank(n)
        for _ in range(self.glimpses):
            p = self._prior(state.h)
            z = draw(p)
            state, writing = self._paint(z, state)
            yield Glimpse(state.canvas, z, p, None, None, writing)

    def _blank(self, n: int) -> _State:
        zeros = self.canvas.new_zeros(n, self.hidden)
        return _State(self.canvas.expand(n, *self.canvas.shape), zeros, zeros)

    def _paint(self, z: Tensor, state: _State) -> tuple[_State, Window | None]:
        h, c = self.decoder(z, (state.h, state.c))
        added, where = self.write(h)
        channels = added.unflatten(1, (-1, self.head.params)).movedim(2, -1)
        return _State(state.canvas + channels.reshape(state.canvas.shape), h, c), where

    def _prior(self, h: Tensor) -> Gaussian:
        if self.prior is None:
            zeros = h.new_zeros(len(h), self.latent)
            return Gaussian(zeros, zeros)
        return gaussian.of(self.prior(h))

    def _side_by_side(self, x: Tensor, error: Tensor) -> Tensor:
        """(B, 2 C, A, W)"""
        shape = self.spec.shape if self.spec.is_image else (1, 1, self.spec.size)
        return torch.cat([x.view(-1, *shape), error.view(-1, *shape)], dim=1)

    def shown(self, canvas: Tensor) -> Tensor:
        """(B, *shape) in [0, 1]: what the canvas shows; of a logistic mixture, the mean of its
        centres.
        """
        if isinstance(self.head, Bernoulli):
            return self.head.mean(canvas)
        logits, centres, _ = canvas.chunk(3, dim=-1)
        return ((logits.softmax(-1) * centres).sum(-1) + 1).div(2).clamp(0, 1)

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        fit = Stage(
            "fit",
            self,
            self.loss,
            lr_schedule="cosine",
            begin=self.begin,
            about="variational bound on −log p(x)",
        )
        return (fit,)

    @torch.no_grad()
    def begin(self, batch: Batch) -> None:
        """Start at the independent model: the first canvas has the marginals of the data."""
        self.canvas.copy_(self.head.marginal(batch.x))

    def loss(self, batch: Batch) -> Tensor:
        """Minus the bound (nats), with the divergences' weight and free bits of the training."""
        reconstruction, divergences = self._terms(batch.x, torch.randn_like)
        costs = divergences.mean(1)
        if self.free_bits:
            costs = mean_of_processes(costs).clamp(min=self.free_bits)
        return self.weight * costs.sum() - reconstruction.mean()

    def on_train_batch_start(self, batch: Batch, _index: int) -> None:
        """The divergences' weight, as a tensor: a number would be compiled anew at every step."""
        if self.warm_up:
            self.weight.fill_(min(1.0, (self.global_step + 1) / self.warm_up))

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        reconstruction, divergences = self._terms(batch.x, torch.randn_like)
        return {"nll": divergences.sum(0) - reconstruction, "kl": divergences.sum(0)}

    def _terms(self, x: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """log p(x | c_T): (B,) and the divergence of each glimpse: (T, B), nats."""
        divergences, canvas = [], self.canvas
        for glimpse in self.look(x, noise):
            assert glimpse.q is not None
            divergences.append(glimpse.q.divergence(glimpse.p))
            canvas = glimpse.canvas
        return self._log_prob(x, canvas), torch.stack(divergences)

    def _log_prob(self, x: Tensor, canvas: Tensor) -> Tensor:
        return self.head.log_prob(x, canvas).flatten(1).sum(1)

    # ----------------------------------------------------------------------------------- likelihood

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        self.refuse_label(label)
        reconstruction, divergences = self._terms(x, partial(randn_like, generator=generator))
        return LogLikelihood(
            reconstruction.double() - divergences.double().sum(0),
            self.guarantee,
            Measure.of(self.spec),
            method="variational bound",
            diagnostics={"reconstruction": reconstruction, "kl of each glimpse": divergences.T},
        )

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        self.refuse_label(label)
        many = x.repeat(k, *[1] * (x.ndim - 1))
        log_w, canvas = 0.0, self.canvas
        for glimpse in self.look(many, partial(randn_like, generator=generator)):
            assert glimpse.q is not None
            log_w = log_w + glimpse.p.log_prob(glimpse.z) - glimpse.q.log_prob(glimpse.z)
            canvas = glimpse.canvas
        return (log_w + self._log_prob(many, canvas)).view(k, -1)

    # ------------------------------------------------------------------------------ codes and samples

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """(B, T, Z): the means of the posterior, each found after painting those before it."""
        return torch.stack([glimpse.z for glimpse in self.look(x, torch.zeros_like)], dim=1)

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape): what the last canvas shows."""
        codes = iter(z.unbind(1))
        *_, last = self.imagine(len(z), lambda _: next(codes))
        return self.shown(last.canvas)

    @torch.no_grad()
    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        noise = partial(randn_like, generator=generator)
        *_, last = self.imagine(n, lambda p: p.at(noise(p.mean)))
        return self.head.sample(last.canvas, generator)

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        return pictures.figures(self, batch, generator)


class _State(NamedTuple):
    """canvas: (B, *shape, params). h, c: (B, H) of the decoder."""

    canvas: Tensor
    h: Tensor
    c: Tensor
