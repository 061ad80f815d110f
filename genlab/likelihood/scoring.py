"""Scores of a split, the same number for number on one process and on many.

The unit of work is a block of 64 consecutive rows with a random generator of its own, keyed by (seed,
split, block): an estimator's noise depends neither on batch size nor on how many processes share the
blocks. Rank 0 gets every per-example value exactly once and counts them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from genlab.contracts import (
    Batch,
    BatchSource,
    DataModule,
    GenerativeModel,
    GenlabError,
    Likelihood,
    LogLikelihood,
    Measure,
)
from genlab.progress import progress
from genlab.randomness import generator
from genlab.sampling import BLOCK


@dataclass(frozen=True)
class Scored:
    """Every per-example value of a split, in the order of its rows.

    nats: (n,) float64. diagnostics: arrays (n, …) or numbers. result: guarantee, measure, method, …
    """

    nats: np.ndarray
    diagnostics: dict[str, Any]
    result: LogLikelihood

    def summary(self, log_scale: float = 0.0) -> dict[str, Any]:
        """The ``nats`` entry of a score file. A mean that cannot be trusted is None, with a reason.

        log_scale: Σ log σ_d of standardised data.
        """
        reason = self._reason()
        mean = None if reason else float(self.nats.mean())
        summary = {
            "mean": mean,
            "stderr": None if reason else standard_error(self.nats),
            "reason": reason,
            "shared": self.result.shared if _finite(self.result.shared) else None,
            "bracket": self._bracket(),
            "guarantee": str(self.result.guarantee),
            "measure": str(self.result.measure),
            "given": self.result.given,
            "method": self.result.method,
            "diagnostics": {k: _plain(v) for k, v in self.diagnostics.items()},
        }
        if log_scale and mean is not None:
            summary["mean_on_original_scale"] = mean - log_scale
        return summary

    def _bracket(self) -> dict[str, Any] | None:
        bracket = self.result.bracket
        finite = bracket is not None and _finite((bracket.low, bracket.high))
        return asdict(bracket) if bracket is not None and finite else None

    def bits_per_dim(self, size: int) -> float | None:
        """−nats / (D ln 2), for probability masses only."""
        if self._reason() or self.result.measure is not Measure.MASS:
            return None
        return float(-self.nats.mean() / (size * math.log(2)))

    def _reason(self) -> str | None:
        bad = np.flatnonzero(~np.isfinite(self.nats))
        if len(bad):
            return (
                f"{len(bad)} of {len(self.nats)} values are not finite, the first is row {bad[0]}"
            )
        return f"not converged: {self.result.problem}" if self.result.problem else None


def standard_error(values: np.ndarray) -> float | None:
    """sd / √n; None for a single value."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def _finite(ends: tuple[float, float] | None) -> bool:
    return ends is not None and all(map(math.isfinite, ends))


def _plain(value: Any) -> Any:
    """A diagnostic as JSON: arrays by their mean over the data."""
    if isinstance(value, np.ndarray):
        value = value.mean(0).tolist()
    numbers = value if isinstance(value, list) else [value]
    finite = all(not isinstance(v, float) or math.isfinite(v) for v in numbers)
    return value if finite else None


def evaluate(
    model: GenerativeModel,
    likelihood: Likelihood,
    data: DataModule,
    split: str,
    trainer: Any,
    *,
    seed: int,
    write: Callable[[Scored], None],
) -> None:
    """Score a split; ``write`` is called once, on rank 0, with every value."""
    data.prepare_data()
    data.setup("test")
    module = _Scoring(model, likelihood, data, split, seed, write)
    trainer.predict(module, return_predictions=False)


class _Blocks:
    """This rank's blocks of a split: every world-th, and the block's number with it."""

    def __init__(self, dataset: BatchSource, rank: int, world: int) -> None:
        self.dataset = dataset
        self.numbers = range(rank, -(-len(dataset) // BLOCK), world)

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        for number in self.numbers:
            rows = torch.arange(number * BLOCK, min((number + 1) * BLOCK, len(self.dataset)))
            yield number, self.dataset[rows]

    def __len__(self) -> int:
        return len(self.numbers)


class _BlockSet(torch.utils.data.IterableDataset):
    def __init__(self, blocks: _Blocks) -> None:
        self.blocks = blocks

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        return iter(self.blocks)


class _Scoring(LightningModule):
    """Runs a likelihood over blocks. ``Trainer.test`` would pad the shards with duplicates."""

    def __init__(
        self,
        model: GenerativeModel,
        likelihood: Likelihood,
        data: DataModule,
        split: str,
        seed: int,
        write: Callable[[Scored], None],
    ) -> None:
        super().__init__()
        self.model, self.likelihood = model, likelihood
        self.data, self.split, self.seed, self.write = data, split, seed, write
        self._parts: list[tuple[Tensor, LogLikelihood]] = []

    def predict_dataloader(self) -> DataLoader:
        dataset = self.data.dataset(self.split)
        blocks = _Blocks(dataset, self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(_BlockSet(blocks), batch_size=None, collate_fn=lambda block: block)

    def on_predict_start(self) -> None:
        self.eval()
        if self.trainer.is_global_zero:
            noise = generator("prepare", self.seed, device=self.device)
            self.likelihood.prepare(self.data, generator=noise)
        if self.trainer.world_size > 1:
            own = dict(self.likelihood.named_buffers(recurse=False))
            for name, tensor in self.trainer.strategy.broadcast(own).items():
                self.likelihood.register_buffer(name, tensor.to(self.device))
        total = -(-len(self.data.dataset(self.split)) // (BLOCK * self.trainer.world_size))
        self._bar = progress(f"evaluate {self.split}", total)
        self._advance = self._bar.__enter__()

    def predict_step(self, block: tuple[int, Batch], _index: int) -> Tensor:
        if (
            self.trainer.received_sigterm
        ):  # Lightning notes the signal, and acts on it only in training
            raise KeyboardInterrupt
        number, batch = block
        noise = generator("evaluate", self.seed, self.split, number, device=self.device)
        result = self.likelihood(batch.x, generator=noise)
        assert batch.index is not None, "a data set gives every row its index"
        self._parts.append((batch.index.cpu(), result))
        if self.trainer.is_global_zero:
            self._advance(len(self._parts), "blocks")
        return batch.index  # Lightning warns of a step that returns nothing

    def on_predict_epoch_end(self) -> None:
        self._bar.__exit__(None, None, None)
        parts = [_on_cpu(index, result) for index, result in self._parts]
        self._parts.clear()
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, parts)
            parts = [part for rank in gathered for part in rank]
        if self.trainer.is_global_zero:
            self.write(_assemble(parts, len(self.data.dataset(self.split))))


_Part = tuple[np.ndarray, np.ndarray, dict[str, Any], LogLikelihood]


def _on_cpu(index: Tensor, result: LogLikelihood) -> _Part:
    """A block's values as arrays, which may travel between processes."""
    diagnostics = {
        k: v.detach().double().cpu().numpy() if isinstance(v, Tensor) else v
        for k, v in result.diagnostics.items()
    }
    nats = result.nats.detach().double().cpu().numpy()
    bare = replace(result, nats=torch.empty(0), diagnostics={})
    return index.numpy(), nats, diagnostics, bare


def _assemble(parts: list[_Part], n: int) -> Scored:
    """All rows in order. Raises GenlabError unless each of the n was scored exactly once."""
    index = np.concatenate([part[0] for part in parts])
    if not np.array_equal(np.sort(index), np.arange(n)):
        raise GenlabError(
            f"{len(np.unique(index))} of {n} data were scored, in {len(index)} values"
        )
    order = index.argsort()
    nats = np.concatenate([part[1] for part in parts])[order]
    first = parts[0][2]
    diagnostics = {
        key: np.concatenate([part[2][key] for part in parts])[order]
        if isinstance(value, np.ndarray)
        else value
        for key, value in first.items()
    }
    results = [part[3] for part in parts]
    doubtful = [result for result in results if result.problem]
    return Scored(nats, diagnostics, (doubtful or results)[0])
