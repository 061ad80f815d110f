"""The points that words in Hydra's sweep syntax stand for.

``model=made,draw seed=1,2`` are four: the last word changes fastest, as in Hydra's own multirun.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import Glob, Override, RangeSweep
from hydra.errors import HydraException

from genlab.config import parse
from genlab.errors import UsageError
from genlab.options import GROUPS, options

MOST = 10_000  # points of a sweep


@dataclass(frozen=True)
class Point:
    """The words of one training. fingerprint: what decides its weights, as a hash."""

    number: int
    words: tuple[str, ...]
    fingerprint: str = ""

    def __str__(self) -> str:
        return shlex.join(self.words)

    def beside(self, words: Sequence[str]) -> str:
        """What tells it from others of the same sweep, whose words these are.

        >>> Point(2, ("model=made", "seed=2")).beside(["model=made", "seed=1,2"])
        'seed=2'
        """
        return shlex.join(word for word in self.words if word not in words) or str(self)


def product(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The words of every point, in Hydra's order.

    Raises UsageError for a word that Hydra cannot read, an ``interval(…)``, a word without values and for
    more than ``MOST`` points.

    >>> product(["seed=1,2", "model=made"])
    [('seed=1', 'model=made'), ('seed=2', 'model=made')]
    """
    alternatives = [_alternatives(word) for word in words]
    count = 1
    for each in alternatives:
        count *= len(each)
    if count > MOST:
        raise UsageError(f"these words make more than {MOST} points: sweep over fewer values")
    return list(itertools.product(*alternatives))


def read(word: str) -> Override:
    """A word as Hydra reads it. Raises UsageError where it cannot, and for what a sweep sets itself."""
    if "=" not in word and not word.startswith("~"):
        raise UsageError(f"{word!r} is not key=value")
    override = parse(word, word)
    if override.key_or_group == "folder":
        raise UsageError(f"{word}: runs lie in the directory of all this: type -o DIR instead")
    return override


def values(word: str, override: Override) -> list[str]:
    """The values of a word that can be counted, as words give them.

    Raises UsageError where there are none or more than ``MOST``.
    """
    found = list(itertools.islice(_strings(word, override), MOST + 1))
    if not found:
        raise UsageError(f"{word} has no values, so that there is no point to train")
    if len(found) > MOST:
        raise UsageError(f"{word} has more than {MOST} values: sweep over fewer")
    return found


def _alternatives(word: str) -> list[str]:
    override = read(word)
    if not override.is_sweep_override():
        return [word]
    if override.is_interval_sweep():
        raise UsageError(f"{word}: an interval has no points that can be listed: type genlab tune")
    return [f"{override.get_key_element()}={value}" for value in values(word, override)]


def _strings(word: str, override: Override) -> Iterator[str]:
    found = override.value()
    if isinstance(found, Glob):
        return iter(_matching(word, override.key_or_group, found))
    if isinstance(found, RangeSweep) and found.step == 0:
        raise UsageError(f"{word}: a step of 0 leads nowhere")
    try:
        return override.sweep_string_iterator()
    except (HydraException, ValueError, ArithmeticError) as error:
        raise UsageError(f"{word}: the values cannot be listed ({error})") from None


def _matching(word: str, group: str, pattern: Glob) -> list[str]:
    if group not in GROUPS:
        raise UsageError(f"{word}: glob(…) is for groups: {', '.join(GROUPS)}")
    return pattern.filter([option.word for option in options(group)])
