"""Models of an energy, by their partition function: log p(x) = log f(x) − log Z."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    DataModule,
    GenerativeModel,
    Guarantee,
    HasEnergy,
    Likelihood,
    LogLikelihood,
    Measure,
    UsageError,
)
from genlab.likelihood.importance import average_weights
from genlab.likelihood.needs import require
from genlab.ranges import at_least

CHUNK = 50  # draws at a time


class Enumerated(Likelihood):
    """log Z summed over all states of the smaller side; the guarantee is that of the energy.

    k: draws of the energy of each datum, where the energy is itself a bound.
    """

    name = "enumerate"

    def __init__(self, model: GenerativeModel, k: int = 1) -> None:
        require(self.name, model)
        super().__init__(model)
        at_least(1, k=k)
        self.k = k
        self.log_z: Tensor
        self.register_buffer("log_z", None)

    @property
    def settings(self) -> dict[str, Any]:
        return {"k": self.k}

    @torch.no_grad()
    def prepare(self, data: DataModule, *, generator: Generator) -> None:
        assert isinstance(self.model, HasEnergy)
        self.log_z = torch.tensor(self.model.log_z(), dtype=torch.float64, device=generator.device)

    @torch.no_grad()
    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        assert isinstance(self.model, HasEnergy)
        nats = log_numerator(self.model, x, self.k, label, generator) - self.log_z
        return LogLikelihood(
            nats,
            self.model.unnormalised,
            Measure.of(self.model.spec),
            method=", ".join(filter(None, ["enumeration", energy_words(self.model, self.k)])),
            diagnostics={"log_z": float(self.log_z)},
        )


def energy_words(model: HasEnergy, k: int) -> str:
    """What k draws make of an energy that is a bound; nothing where it is exact."""
    if model.unnormalised is Guarantee.EXACT:
        return ""
    return "variational bound" if k == 1 else f"importance estimate, K = {k}"


def log_numerator(
    model: Any, x: Tensor, k: int, label: Tensor | None, generator: Generator
) -> Tensor:
    """(B,) float64 log of the mean of k draws whose expectation is Z p(x), of x: (B, *shape)."""
    if label is not None:
        raise UsageError("an energy has no distribution given a label: leave the label out")

    def draw(n: int) -> Tensor:
        return model.log_unnormalised(x, n, generator=generator)

    return average_weights(draw, k, CHUNK, lower="likelihood.k").log_mean
