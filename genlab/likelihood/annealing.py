"""Annealed importance sampling of a partition function, from both ends.

A chain starts at a draw of f_0, whose sum Z_0 is known, and is moved along f_β to f_1. Its weight

  w = Π_t f_{β_t+1}(x_t) / f_{β_t}(x_t),   x_t+1 drawn by a transition that leaves f_{β_t+1} invariant,

has mean Z_1 / Z_0 exactly, with any schedule of β and however badly the chains mix. By Jensen's inequality
E[log Ẑ] ≤ log Z: forward annealing errs low, and log p(x) = log f(x) − log Ẑ errs high. Annealing from f_1
to f_0 estimates Z_0 / Z_1 and errs to the other side, provided its chains start at exact draws of f_1.

Radford Neal: Annealed Importance Sampling, 2001, https://arxiv.org/abs/physics/9803008. Ruslan
Salakhutdinov, Iain Murray: On the Quantitative Analysis of Deep Belief Networks. ICML 2008. Both
directions: Roger Grosse, Siddharth Ancha, Daniel Roy: Measuring the reliability of MCMC inference with
bidirectional Monte Carlo. NeurIPS 2016, https://arxiv.org/abs/1606.02275.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    AnnealingPath,
    Bracket,
    DataModule,
    GenerativeModel,
    Guarantee,
    HasEnergy,
    Likelihood,
    LogLikelihood,
    Measure,
    State,
    UsageError,
)
from genlab.likelihood.enumeration import energy_words, log_numerator
from genlab.likelihood.needs import require
from genlab.memory import must_fit
from genlab.nn.precision import full_precision
from genlab.progress import Advance, progress
from genlab.randomness import fork
from genlab.ranges import at_least
from genlab.together import processes, shared_out

T = TypeVar("T")

SEEDS = 2  # independent runs
LEAST_ESS = 0.2  # of the chains of a run
FEWEST_CHAINS = (
    10  # one of n chains with all the weight is 1/n already: the rule must be able to fail
)
MOST_APART = 0.3  # nats between the runs
RESAMPLES = 1000  # of the bootstrap
TAILS = (0.025, 0.975)
BLOCK = 256  # chains that are moved together, by one process
SETTLING = 1000  # transitions at beta = 1 where reverse chains have no exact draws to start from
ROWS = 10_000  # training data from which a path takes its base rates
NOTE_EVERY = 100  # temperatures

Pieces = tuple[tuple[float, int], ...]
SALAKHUTDINOV_MURRAY: Pieces = ((0.5, 500), (0.9, 4000), (1.0, 10_000))


class AnnealedImportance(Likelihood):
    """log f(x) − log Ẑ, with Ẑ from annealing: too high in expectation where the energy is exact.

    chains: of each of two independent runs. temperatures: how many, equally spaced; or pieces (end, how
    many) that follow each other up to an end of 1, by default the 14,500 of Salakhutdinov & Murray (2008).
    k: draws of the energy of each datum, where the energy is itself a bound. reverse: anneal backwards too,
    for the bracket, at half the cost of the two forward runs.
    """

    name = "ais"

    def __init__(
        self,
        model: GenerativeModel,
        chains: int = 100,
        temperatures: int | Pieces = SALAKHUTDINOV_MURRAY,
        k: int = 1,
        reverse: bool = True,
    ) -> None:
        require(self.name, model)
        super().__init__(model)
        at_least(1, chains=chains, k=k)
        self.chains, self.k, self.reverse = chains, k, reverse
        self.pieces = _pieces(temperatures)
        # (2, M) log Ẑ of each chain alone; (2,) the ends of an interval; reverse: whether it began exactly
        self.log_z: Tensor
        self.interval: Tensor
        self.reverse_log_z: Tensor
        self.reverse_interval: Tensor
        self.reverse_exact: Tensor
        for name in ("log_z", "interval", "reverse_log_z", "reverse_interval", "reverse_exact"):
            self.register_buffer(name, None)

    @property
    def settings(self) -> dict[str, Any]:
        pieces = [list(piece) for piece in self.pieces]
        return {"chains": self.chains, "temperatures": pieces, "k": self.k, "reverse": self.reverse}

    # ------------------------------------------------------------------------------------------ annealing

    @torch.no_grad()
    def prepare(self, data: DataModule, *, generator: Generator) -> None:
        assert isinstance(self.model, HasEnergy)
        path = self.model.path(training_rows(data).to(generator.device), generator=generator)
        chains = must_fit(f"{self.chains} chains", "likelihood.chains")
        with chains, full_precision(generator.device):
            runs = [path.start(self.chains, generator=generator) for _ in range(SEEDS)]
            log_w, ends = annealed(path, schedule(self.pieces), runs, generator)
            self.log_z = path.log_z0 + torch.stack(log_w)
            self.interval = bootstrap(self.log_z.flatten(), generator)
            if self.reverse:
                self._anneal_back(path, log_w, ends, generator)

    def _anneal_back(
        self, path: AnnealingPath, log_w: list[Tensor], ends: list[State], generator: Generator
    ) -> None:
        """From draws of f_1: exact ones where the path has them, else the settled ends of the runs."""
        start = path.end(self.chains, generator=generator)
        exact = start is not None
        if start is None:
            start = resampled(log_w, ends, self.chains, generator)
        betas = schedule(self.pieces)[::-1]
        settling = 0 if exact else SETTLING
        (back,), _ = annealed(path, betas, [start], generator, settling=settling)
        self.reverse_log_z = path.log_z0 - log_mean_exp(back)
        self.reverse_interval = path.log_z0 - bootstrap(back, generator).flip(0)
        self.reverse_exact = torch.tensor(exact, device=generator.device)

    # --------------------------------------------------------------------------------------------- scores

    @torch.no_grad()
    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """diagnostics: log_z and its figures; ess: the smaller of the two runs, in (0, 1]."""
        assert isinstance(self.model, HasEnergy)
        exact = self.model.unnormalised is Guarantee.EXACT
        log_z = float(log_mean_exp(self.log_z.flatten()))
        low, high = self.interval.tolist()
        return LogLikelihood(
            log_numerator(self.model, x, self.k, label, generator) - log_z,
            Guarantee.UPPER_BOUND if exact else Guarantee.ESTIMATE,
            Measure.of(self.model.spec),
            method=self._method(),
            shared=(log_z - high, log_z - low),
            bracket=self._bracket(log_z, exact) if self.reverse else None,
            diagnostics=self._diagnostics(log_z),
            problem=self._problem(),
        )

    def _method(self) -> str:
        """With the two errors of a number that is a bound less log Ẑ: they can cancel."""
        assert isinstance(self.model, HasEnergy)
        words = energy_words(self.model, self.k)
        name = f"{words} (log p too low), AIS (log p too high)" if words else "AIS"
        return f"{name}, {SEEDS} × {self.chains} chains, {self._temperatures} temperatures"

    @property
    def _temperatures(self) -> int:
        return sum(n for _, n in self.pieces)

    def _bracket(self, log_z: float, exact: bool) -> Bracket:
        """From the lower end of the forward to the upper end of the reverse interval of log Z."""
        lowest, highest = float(self.interval[0]), float(self.reverse_interval[1])
        two_sided = exact and bool(self.reverse_exact)
        return Bracket(log_z - max(highest, log_z), log_z - lowest, two_sided)

    def _diagnostics(self, log_z: float) -> dict[str, float]:
        seeds = log_mean_exp(self.log_z).tolist()
        found = {
            "log_z": log_z,
            **{f"log_z_seed_{i + 1}": value for i, value in enumerate(seeds)},
            "ess": float(effective(self.log_z).min()),
            "sd_log_w": float(self.log_z.std()),
            "chains": self.chains,
            "temperatures": self._temperatures,
        }
        return found | ({"reverse_log_z": float(self.reverse_log_z)} if self.reverse else {})

    def _problem(self) -> str:
        """Why Ẑ is not to be trusted: a few chains carry all the weight, or the runs disagree."""
        seeds, ess = log_mean_exp(self.log_z), float(effective(self.log_z).min())
        apart = float(seeds.max() - seeds.min())
        if self.chains < FEWEST_CHAINS:
            return (
                f"the effective sample size of {self.chains} chains says nothing: raise "
                f"likelihood.chains to {FEWEST_CHAINS} or more"
            )
        faults, raised = [], ["temperatures"]
        if not ess >= LEAST_ESS:
            faults.append(
                f"the effective sample size is {ess:.1%} of {self.chains} chains, less than "
                f"{LEAST_ESS:.0%}"
            )
        if not apart <= MOST_APART:
            values = " and ".join(f"{value:.2f}" for value in seeds.tolist())
            faults.append(f"two seeds give log Z = {values}, more than {MOST_APART} nats apart")
            raised.append("chains")
        advice = " or ".join(f"likelihood.{name}" for name in raised)
        return f"{'; '.join(faults)}: raise {advice}" if faults else ""


# ------------------------------------------------------------------------------------------------- parts


def anneal(
    path: AnnealingPath, betas: Iterable[float], state: State, generator: Generator
) -> tuple[Tensor, State]:
    """log w: (n,) float64 of n chains along betas, and their last states.

    state: n exact draws at the first beta. Descending betas anneal backwards. The mean of w is the ratio of
    the constants at the last and the first beta. The last states, so weighted, are draws at the last beta.
    """
    log_w = torch.zeros(len(state[0]), dtype=torch.float64, device=state[0].device)
    for here, there in itertools.pairwise(betas):
        log_w += path.log_f(state, there).double() - path.log_f(state, here).double()
        state = path.transition(state, there, generator=generator)
    return log_w, state


def annealed(
    path: AnnealingPath,
    betas: Sequence[float],
    runs: Sequence[State],
    generator: Generator,
    *,
    settling: int = 0,
) -> tuple[list[Tensor], list[State]]:
    """``anneal`` of several runs, whose chains the processes share out in blocks: of each run, in order.

    settling: transitions at the first beta before. Every process must call it, with a generator in the
    same state, and gets all chains.
    """
    blocks = [block for run in runs for block in _blocks(run)]
    streams = fork(generator, len(blocks))
    world, _ = processes()
    length = settling + len(betas)
    with progress("anneal", length * -(-len(blocks) // world)) as advance:

        def work(i: int) -> State:
            note = _Note(advance, length * (i // world))
            state = blocks[i]
            for _ in note.each(range(settling)):
                state = path.transition(state, betas[0], generator=streams[i])
            log_w, state = anneal(path, note.each(betas), state, streams[i])
            return tuple(part.cpu() for part in (log_w, *state))

        found = shared_out(len(blocks), work)
    each = len(blocks) // len(runs)
    joined = [_joined(found[i : i + each], generator.device) for i in range(0, len(found), each)]
    return [log_w for log_w, *_ in joined], [tuple(state) for _, *state in joined]


def _blocks(state: State) -> list[State]:
    """The chains, at most ``BLOCK`` of them at a time."""
    return list(zip(*(part.split(BLOCK) for part in state), strict=True))


def _joined(blocks: Sequence[State], device: torch.device) -> State:
    return tuple(torch.cat(parts).to(device) for parts in zip(*blocks, strict=True))


def resampled(
    log_w: Sequence[Tensor], ends: Sequence[State], n: int, generator: Generator
) -> State:
    """n of the last states of runs, by weight."""
    weight = torch.cat(list(log_w)).softmax(0)
    rows = torch.multinomial(weight, n, replacement=True, generator=generator)
    return tuple(torch.cat(parts)[rows] for parts in zip(*ends, strict=True))


def schedule(pieces: Pieces) -> list[float]:
    """All betas from 0 to 1, one more than there are temperatures.

    >>> schedule(((0.5, 2), (1.0, 1)))
    [0.0, 0.25, 0.5, 1.0]
    """
    betas = [0.0]
    for end, n in pieces:
        start = betas[-1]
        betas += [start * (1 - i / n) + end * (i / n) for i in range(1, n + 1)]
    return betas


def _pieces(temperatures: int | Pieces) -> Pieces:
    """Raise UsageError unless the ends rise to 1 and there is a temperature in each piece."""
    if isinstance(temperatures, int):
        temperatures = ((1.0, temperatures),)
    ends = [0.0, *(end for end, _ in temperatures)]
    rising = all(a < b for a, b in itertools.pairwise(ends)) and ends[-1] == 1
    if not rising or min(n for _, n in temperatures) < 1:
        given = [list(piece) for piece in temperatures]
        raise UsageError(
            f"likelihood.temperatures={given}: a number of at least 1, or pieces [end, number] with ends "
            "that rise to 1, as [[0.5, 500], [1, 10000]]"
        )
    return tuple(temperatures)


def log_mean_exp(log_w: Tensor) -> Tensor:
    """log of the mean of exp over the last dimension."""
    return log_w.logsumexp(-1) - math.log(log_w.shape[-1])


def effective(log_w: Tensor) -> Tensor:
    """(Σ w)² / (n Σ w²) over the last dimension: the part of the n weights that counts, in (0, 1]."""
    return (2 * log_w.logsumexp(-1) - (2 * log_w).logsumexp(-1)).exp() / log_w.shape[-1]


def bootstrap(log_w: Tensor, generator: Generator) -> Tensor:
    """(2,) the ends of a 95 % interval of the log of the mean of exp(log_w): (n,), by resampling."""
    n, device = len(log_w), log_w.device
    means = [
        log_mean_exp(log_w[torch.randint(n, (n,), generator=generator, device=device)])
        for _ in range(RESAMPLES)
    ]
    tails = torch.tensor(TAILS, dtype=log_w.dtype, device=device)
    return torch.stack(means).quantile(tails)


def training_rows(data: DataModule) -> Tensor:
    """(N, *shape) at most 10,000 of the training data, evenly spread."""
    train = data.dataset("train")
    n = min(len(train), ROWS)
    return train[torch.arange(n) * len(train) // n].x


class _Note:
    """Says now and then how many transitions are done."""

    def __init__(self, advance: Advance, done: int) -> None:
        self.advance, self.done = advance, done

    def each(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self.done % NOTE_EVERY == 0:
                self.advance(self.done, "temperatures")
            self.done += 1
            yield item
