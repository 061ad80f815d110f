"""Classification: how often the most probable label of a datum is not its own.

The error is the share of data with argmax_k p(k | x) ≠ label; −log p(label | x) also asks whether the model
knows what it does not know.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Generator, Tensor

from genlab.contracts import Batch, BatchSource, Classifies, DataModule, GenlabError, Model
from genlab.metrics.datum import DatumMetric, Floor, batches

HALF = 0.5  # a count added to each class, so that one that training lacks is not impossible


class Classification(DatumMetric):
    """``error``: 1 where the most probable label is wrong, else 0. ``nll``: −log p(label | x), nats."""

    name = "classification"
    shown = ("error", "nll")

    @classmethod
    def lacking(cls, model: Model) -> str:
        if not isinstance(model, Classifies):
            return f"a model that tells labels, and {type(model).__name__} does not"
        if not model.spec.classes:
            return f"labels, and {model.spec.name} ({model.spec.variant}) has none"
        if not model.classifies:
            return f"a model that tells labels, and this {type(model).__name__} was built without"
        return ""

    def forward(self, batch: Batch, *, generator: Generator) -> dict[str, Tensor]:
        label = _labels(batch)
        log_p = cast(Classifies, self.model).log_posterior(batch.x, generator=generator).double()
        if log_p.shape != (len(label), self.model.spec.classes):
            raise GenlabError(
                f"log_posterior gave {tuple(log_p.shape)} for {len(label)} data of "
                f"{self.model.spec.classes} classes"
            )
        wrong = (log_p.argmax(1) != label).double()
        return {
            "error": wrong.masked_fill(log_p.isnan().any(1), torch.nan),
            "nll": -log_p.gather(1, label[:, None]).squeeze(1),
        }

    def floor(self, data: DataModule, split: str) -> Floor:
        """Always the most frequent label of the training data, with their frequencies for p(label)."""
        classes = data.spec.classes
        trained, asked = (_counts(data.dataset(s), classes) for s in ("train", split))
        log_p = ((trained + HALF) / (trained + HALF).sum()).log()
        guess = int(trained.argmax())
        error = 1 - asked[guess] / asked.sum()
        nll = -(asked * log_p).sum() / asked.sum()
        of = f"always label {guess}, the most frequent in training; p by label frequencies"
        return Floor(of, {"error": float(error), "nll": float(nll)})


def _labels(batch: Batch) -> Tensor:
    if batch.label is None:
        raise GenlabError("the data say that they have classes, and give no labels")
    return batch.label


def _counts(source: BatchSource, classes: int) -> Tensor:
    """(classes,) float64"""
    found = torch.zeros(classes, dtype=torch.float64)
    for batch in batches(source):
        found += torch.bincount(_labels(batch), minlength=classes)
    return found
