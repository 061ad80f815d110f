"""Checks as tests of pytest, each of its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from genlab.testing import data, likelihoods, metrics
from genlab.testing.checks import CHECKS
from genlab.testing.conformance import TRAIN, check_model
from genlab.testing.report import Report, Status

if TYPE_CHECKING:
    import pytest

NAMES: dict[Callable[..., Report], list[str]] = {
    check_model: [TRAIN, *(c.name for c in CHECKS)],
    data.check_data: [data.BUILT, *(c.name for c in data.DATA_CHECKS)],
    likelihoods.check_likelihood: [
        likelihoods.BUILT,
        *(c.name for c in likelihoods.LIKELIHOOD_CHECKS),
    ],
    metrics.check_metric: [metrics.BUILT, *(c.name for c in metrics.METRIC_CHECKS)],
}


def parametrize_checks(
    check: Callable[..., Report],
    build: Callable[..., Any],
    *,
    expected_failures: Mapping[str, str] | None = None,
    **options: Any,
) -> pytest.MarkDecorator:
    """Each check as a test::

        @parametrize_checks(check_model, MyModel, expected_failures={"…": "why"})
        def test_conformance(conformance):
            conformance()

    check: ``check_model``, ``check_data``, ``check_likelihood`` or ``check_metric``, which runs once, with
    build and options. expected_failures: names of checks that are known to fail, with the reason; one
    that passes after all fails its test, so that the list stays true. A check of a capability that is not
    claimed is skipped.
    """
    import pytest

    declared = dict(expected_failures or {})
    unknown = sorted(declared.keys() - set(NAMES[check]))
    if unknown:
        raise ValueError(f"expected_failures: {check.__name__} has no check {', '.join(unknown)}")
    report = cache(lambda: check(build, **options))
    tests = [
        pytest.param(Outcome(name, report, declared.get(name)), id=name) for name in NAMES[check]
    ]
    return pytest.mark.parametrize("conformance", tests)


class Outcome:
    """Calling it is a test: what became of one check. known: why it is expected to fail."""

    def __init__(self, name: str, report: Callable[[], Report], known: str | None = None) -> None:
        self.name, self.report, self.known = name, report, known

    def __call__(self) -> None:
        import pytest

        results = [r for r in self.report().results if r.check == self.name]
        failed = [r for r in results if r.status is Status.FAILED]
        ran = [r for r in results if r.status is not Status.SKIPPED]
        if failed and self.known is not None:
            pytest.xfail(self.known)
        if failed:
            raise AssertionError("\n".join(f"{r.space}: {r.message}" for r in failed))
        if not ran:
            pytest.skip("; ".join(r.message for r in results) or "it asks for what is not claimed")
        if self.known is not None:
            raise AssertionError(f"it passes, and was expected to fail: {self.known}")
