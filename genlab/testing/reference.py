"""Models of which everything is known, for estimators and metrics to be tried on.

Both have the skewed distribution of a small space, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Generator, Tensor

from genlab import randomness
from genlab.contracts import (
    Batch,
    GenerativeModel,
    Guarantee,
    HasEncoder,
    HasImportanceWeights,
    HasLikelihood,
    LogLikelihood,
    Measure,
    Support,
    UsageError,
)
from genlab.testing.check import Check, Tested, describe
from genlab.testing.report import Result, Status
from genlab.testing.spaces import SMALL, Discrete

NOISE = 0.5  # standard deviation of the log-weights


class Table(GenerativeModel):
    """Samples of a discrete space's skewed distribution, and nothing else. log_p: (S,) of its states."""

    def __init__(self, space: Discrete) -> None:
        super().__init__(space.spec)
        self.space = space
        self.log_p: Tensor
        self.register_buffer("log_p", space.target().log())
        self.unused = torch.nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> Tensor:
        return self.unused.square()

    def true(self, x: Tensor) -> Tensor:
        """(B,) float64 log p(x)."""
        return self.log_p[self.space.cell_of(x)]

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        rows = torch.multinomial(self.log_p.exp(), n, replacement=True, generator=generator)
        return self.space.states[rows].clone()


class ExactTable(Table, HasLikelihood, HasEncoder):
    """With its log-likelihood; its codes are the data themselves."""

    guarantee = Guarantee.EXACT

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        return LogLikelihood(self.true(x), self.guarantee, Measure.of(self.spec), method="a table")

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.unflatten(1, self.spec.shape)


class WeightedTable(Table, HasImportanceWeights):
    """With importance weights, log-normal around p(x): log w = log p(x) + sε − s²/2."""

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        noise = randomness.randn_like(self.true(x).expand(k, -1), generator)
        return self.true(x) + NOISE * noise - NOISE**2 / 2


TABLES = (ExactTable, WeightedTable, Table)


def tried_on(
    tables: Sequence[type[Table]],
    subject: Callable[[Table], Tested],
    built: str,
    checks: Iterable[Check],
) -> list[Result]:
    """Every check on what ``subject`` makes of each table; what it refuses with a UsageError is skipped.

    built: what the making is called in the report.
    """
    space, results = Discrete(SMALL[Support.BINARY][0]), []
    for table in tables:
        try:
            tested = subject(table(space))
        except UsageError as refusal:
            results.append(Result(built, table.__name__, Status.SKIPPED, 0.0, str(refusal)))
        except Exception as error:
            results.append(Result(built, table.__name__, Status.FAILED, 0.0, describe(error)))
        else:
            results.append(Result(built, tested.title, Status.PASSED, 0.0))
            results += [check.run(tested) for check in checks if check.applies(tested)]
    return results
