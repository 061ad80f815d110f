"""Reconstruction: how far a datum is from what comes back from its code.

  Σ_d (x_d − x̂_d)²  with  x̂ = decode(encode(x))

in the units of the data: grey values in [0, 1] on LEVELS, standard deviations on REAL. It says nothing
without the size of the code: a code as large as the datum can hold all of it. It is no likelihood either.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, DataModule, GenlabError, HasEncoder, Model
from genlab.metrics.datum import DatumMetric, Floor, batches


class Reconstruction(DatumMetric):
    """``squared_error``: Σ_d (x_d − x̂_d)² of each datum. ``per_dimension``: that divided by D."""

    name = "reconstruction"
    shown = ("squared_error", "per_dimension")

    @classmethod
    def lacking(cls, model: Model) -> str:
        if isinstance(model, HasEncoder):
            return ""
        return f"a model with an encoder and a decoder, and {type(model).__name__} has none"

    def forward(self, batch: Batch, *, generator: Generator) -> dict[str, Tensor]:
        model = cast(HasEncoder, self.model)
        guess = model.decode(model.encode(batch.x))
        if guess.shape != batch.x.shape:
            raise GenlabError(f"decode gave {tuple(guess.shape)} for {tuple(batch.x.shape)}")
        return _errors(batch.x, guess)

    def floor(self, data: DataModule, split: str) -> Floor:
        """Always the mean of the training data: a code of nothing."""
        train = data.dataset("train")
        mean = sum((b.x.double().sum(0) for b in batches(train)), torch.zeros(())) / len(train)
        errors = [_errors(b.x, mean) for b in batches(data.dataset(split))]
        means = {name: float(torch.cat([e[name] for e in errors]).mean()) for name in errors[0]}
        return Floor("always the mean of the training data", means)

    def facts(self, batch: Batch) -> dict[str, int]:
        """code: how many numbers one code has."""
        return {"code": cast(HasEncoder, self.model).encode(batch.x[:1])[0].numel()}


def _errors(x: Tensor, guess: Tensor) -> dict[str, Tensor]:
    squared = (x.double() - guess.double()).square().flatten(1)
    return {"squared_error": squared.sum(1), "per_dimension": squared.mean(1)}
