"""A plugin of pytest: ``pytest --genlab-check NAME`` tests everything that an installed plugin adds.

Each check of ``genlab.testing`` is a test of its own, next to those that pytest collects. Without the
option nothing but this file is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from genlab.options import Option

OPTION = "--genlab-check"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("genlab").addoption(
        OPTION,
        action="append",
        default=[],
        metavar="NAME",
        help="test everything that this installed plugin of genlab adds",
    )


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    for name in session.config.option.genlab_check:
        items += _tests(session, name)


class ConformanceTest(pytest.Item):
    """One check of one option; all checks of an option run with the first of them."""

    def __init__(self, *, outcome: Callable[[], None], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.outcome = outcome

    def runtest(self) -> None:
        self.outcome()

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style=None):
        """What is wrong with the plugin: where this suite found it out says nothing to its author."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


def _tests(session: pytest.Session, name: str) -> Iterator[ConformanceTest]:
    from genlab.testing.installed import checks_of, report
    from genlab.testing.parametrize import Outcome

    for option in _options(name):
        found = cache(lambda option=option: report(option))
        for check in checks_of(option):
            title = f"{option.group}={option.qualified}[{check}]"
            yield ConformanceTest.from_parent(
                session, name=title, nodeid=f"genlab::{title}", outcome=Outcome(check, found)
            )


def _options(name: str) -> list[Option]:
    from genlab.errors import GenlabError
    from genlab.plugins import named
    from genlab.testing.installed import options_of

    try:
        found = [option for plugin in named([name]) for option in options_of(plugin)]
    except GenlabError as error:
        raise pytest.UsageError(f"{OPTION}={name}: {error}") from None
    if not found:
        raise pytest.UsageError(f"{OPTION}={name}: it adds nothing that could be checked")
    return found
