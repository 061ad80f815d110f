"""What a run of the suite found, check by check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """One check on one space. message: what is wrong, or why the check was skipped."""

    check: str
    space: str
    status: Status
    seconds: float
    message: str = ""

    def __str__(self) -> str:
        line = f"{self.status:8}{self.check:46}{self.space:20}{self.seconds:7.2f} s"
        return f"{line}\n        {self.message}" if self.message else line


@dataclass(frozen=True)
class Report:
    """Every result, in the order of the checks. ``print(report)`` is a table."""

    model: str
    results: tuple[Result, ...]

    def of(self, status: Status) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.status is status)

    @property
    def failed(self) -> tuple[Result, ...]:
        return self.of(Status.FAILED)

    @property
    def ran(self) -> int:
        """How many checks ran; one that was skipped did not."""
        return len(self.results) - len(self.of(Status.SKIPPED))

    @property
    def passed(self) -> bool:
        """Whether something ran and nothing failed: a suite that tested nothing promises nothing."""
        return self.ran > 0 and not self.failed

    @property
    def seconds(self) -> float:
        return sum(result.seconds for result in self.results)

    def raise_if_failed(self) -> None:
        """Raises AssertionError that names each failed check and says what is wrong."""
        if not self.passed:
            raise AssertionError(self.verdict())

    def verdict(self) -> str:
        if self.ran == 0:
            reasons = "".join(f"\n- {r.space}: {r.message}" for r in self.results)
            return f"{self.model}: not a single check ran, so nothing is known of it{reasons}"
        if not self.failed:
            return f"{self.model}: {self.ran} checks passed in {self.seconds:.1f} s"
        faults = "".join(f"\n- {r.check} ({r.space}): {r.message}" for r in self.failed)
        return f"{self.model}: {len(self.failed)} of {self.ran} checks failed{faults}"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.results), self.verdict()])
