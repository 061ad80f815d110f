"""A sum-product network whose structure is learned from data, as a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import Batch, DataSpec, Observed, Stage, Support, UnsupportedData, UsageError
from genlab_spn.circuit import Builder, Circuit, Layout
from genlab_spn.families import RAREST
from genlab_spn.learning import LearnSPN
from genlab_spn.network import SumProductNetwork, everything, known, require_positive

MOST_VALUES = 2**12  # D · L: all pairs of values are counted, in 128 MiB at most
ROWS = 256  # evaluated at once: the values of all nodes then stay in the cache


class LearnedSPN(SumProductNetwork):
    """Sum-product network with the structure of LearnSPN (Gens & Domingos 2013) and trees for leaves.

    min_rows: fewer are not split. significance: of the G-test that joins two columns. smoothing: counts α
    added to each value of a column. networks: how many are learned and mixed, each from rows drawn with
    replacement. refine: how the weights go on from those that the splits gave: not at all, by ``sweeps``
    of EM over all data, or by gradient.
    """

    supports = frozenset({Support.BINARY, Support.LEVELS})

    def __init__(
        self,
        spec: DataSpec,
        min_rows: int = 200,
        significance: float = 1e-3,
        smoothing: float = 0.5,
        networks: int = 1,
        refine: Literal["none", "em", "gradient"] = "none",
        sweeps: int = 5,
    ) -> None:
        super().__init__(spec)
        require_positive(min_rows=min_rows, smoothing=smoothing, networks=networks, sweeps=sweeps)
        if not 0 < significance < 1:
            raise UsageError(f"model.significance={significance:g} must be between 0 and 1")
        assert spec.levels is not None
        self.levels = spec.levels
        if spec.size * self.levels > MOST_VALUES:
            raise UnsupportedData(
                f"LearnedSPN counts all pairs of values; {spec.name} has {spec.size} entries of "
                f"{self.levels} values, more than {MOST_VALUES} in all"
            )
        self.learner = LearnSPN(min_rows, significance, smoothing, networks)
        self.refine, self.sweeps = refine, sweeps
        self.circuit = Circuit(spec.size * self.levels, independent(spec.size, self.levels))

    # ------------------------------------------------------------------------------------- learning

    def stages(self) -> Sequence[Stage]:
        learn = Stage("learn", self, self.loss, solve=self.learn)
        if self.refine == "em":
            return learn, Stage("refine", self, self.loss, solve=self.sweep)
        if self.refine == "gradient":
            refine = Stage("refine", self, self.loss, lr_schedule="cosine", patience=5)
            return learn, refine
        return (learn,)

    def learn(self, batches: Iterable[Batch]) -> None:
        """Structure, and the weights that the counts of its splits give."""
        level = torch.cat([self._level(batch.x).cpu() for batch in batches])
        self.circuit.rebuild(self.learner(level, self.levels))

    def sweep(self, batches: Iterable[Batch]) -> None:
        """EM over all data, ``sweeps`` times."""
        for _ in range(self.sweeps):
            self.maximise(batches, self.learner.smoothing)

    @torch.no_grad()
    def maximise(self, batches: Iterable[Batch], smoothing: float) -> None:
        """One EM step; α counts are spread over the children of each sum. With none, the likelihood of
        these data does not decrease.
        """
        log_weight = self._log_weight()
        counts = torch.zeros_like(log_weight, dtype=torch.float64)
        for batch in batches:
            for x in batch.x.split(ROWS):
                values = self.circuit.upward(log_weight, self._indicators(everything(x)))
                counts += self.circuit.downward(values, log_weight, torch.ones_like(values[-1]))
        counts += smoothing / self.circuit.fan_out()
        self.circuit.logits.copy_(self.circuit.normalise(counts.clamp_min(RAREST).log()))

    # ----------------------------------------------------------------------------------- likelihood

    def log_marginal(self, evidence: Observed) -> Tensor:
        log_weight = self._log_weight()
        parts = self._indicators(evidence).split(ROWS, dim=1)
        return torch.cat([self.circuit.log_prob(log_weight, p.contiguous()) for p in parts])

    def _log_weight(self) -> Tensor:
        return self.circuit.normalise(self.circuit.logits)

    def _indicators(self, evidence: Observed) -> Tensor:
        """(D · L, B) log 1 where an entry has this value or is not observed, else log 0."""
        level, unknown = self._level(known(evidence).x), ~evidence.mask.flatten(1)
        possible = F.one_hot(level, self.levels).bool() | unknown.unsqueeze(2)
        zero = self.circuit.logits.new_zeros(possible.shape)
        return zero.masked_fill_(~possible, -math.inf).flatten(1).T.contiguous()

    def _level(self, x: Tensor) -> Tensor:
        """(B, D) int64 in [0, L) of x: (B, *shape)."""
        return (x.flatten(1) * (self.levels - 1)).round().long()

    # ---------------------------------------------------------------------------------- completion

    def _draw(self, evidence: Observed, n: int, generator: Generator) -> Tensor:
        log_weight = self._log_weight()
        values = self.circuit.upward(log_weight, self._indicators(evidence))
        taken = self.circuit.draw(values, log_weight, n, generator)
        level = taken.unflatten(0, (-1, self.levels)).byte().argmax(1)  # (D, n, B)
        x = level.movedim(0, -1).float() / (self.levels - 1)
        return x.unflatten(-1, self.spec.shape)


def independent(size: int, levels: int) -> Layout:
    """Independent columns with equal probabilities, before anything has been learned."""
    builder, equal = Builder(size * levels), [-math.log(levels)] * levels
    values = [range(d * levels, (d + 1) * levels) for d in range(size)]
    builder.product([builder.sum(each, equal) for each in values])
    return builder.layout()
