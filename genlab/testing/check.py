"""A check: a promise of the contracts, and the sentence that an author reads when it is not kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from genlab.errors import place
from genlab.testing.ambient import ambient
from genlab.testing.report import Result, Status


class Fault(Exception):
    """A promise is not kept; the text says by how much, or where."""


class Skip(Exception):
    """The check does not apply here; the text says why."""


class Tested(Protocol):
    """What is on the table. title: of the data it was tried on."""

    seed: int

    @property
    def thing(self) -> Any:
        """The model, data module, estimator or metric itself."""

    @property
    def title(self) -> str: ...

    @property
    def enumerable(self) -> bool: ...


@dataclass(frozen=True)
class Check:
    """name: as reported. wrong: what is wrong with what fails. needs: the capability tested.

    enumerable: whether the check needs every state of the space.
    """

    name: str
    wrong: str
    test: Callable[[Any], None]  # the subject is of the capability that is needed
    needs: type = object
    enumerable: bool = False

    def applies(self, subject: Tested) -> bool:
        return isinstance(subject.thing, self.needs)

    def run(self, subject: Tested) -> Result:
        """The result of one run, on a random state of its own and without gradients, as evaluation is."""
        start = time.perf_counter()
        status, message = self._outcome(subject)
        seconds = time.perf_counter() - start
        return Result(self.name, subject.title, status, seconds, message)

    def _outcome(self, subject: Tested) -> tuple[Status, str]:
        if self.enumerable and not subject.enumerable:
            return Status.SKIPPED, "the space is too large to be enumerated"
        try:
            with torch.no_grad(), ambient("check", subject.seed, self.name):
                self.test(subject)
        except Skip as reason:
            return Status.SKIPPED, str(reason)
        except Fault as fault:
            return Status.FAILED, f"{self.wrong} ({fault})"
        except Exception as error:
            return Status.FAILED, f"{describe(error)}; what was tried: {self.wrong}"
        return Status.PASSED, ""


def check(
    wrong: str, *, needs: type = object, enumerable: bool = False
) -> Callable[[Callable[[Any], None]], Check]:
    """Make a check of a function that raises Fault; its name becomes the name of the check."""
    return lambda test: Check(test.__name__, wrong, test, needs, enumerable)  # type: ignore[attr-defined]


def expect(promise: bool | torch.Tensor, fault: str) -> None:
    """Raise Fault unless the promise is kept."""
    if not promise:
        raise Fault(fault)


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Bit by bit, where NaN equals NaN."""
    return torch.equal(a, b) or (
        a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())
    )


def describe(error: Exception) -> str:
    """Type, text and place of an error that nobody expected."""
    where = place(error)
    return f"{type(error).__name__}: {error}" + (f" at {Path(where).name}" if where else "")
