"""What a study searches over: words in Hydra's sweep syntax, read as hydra-optuna-sweeper reads them.

interval(0, 1)                a number of it; int(interval(1, 9)) a whole one
tag(log, interval(1e-4, 1))   a number of it, its logarithm uniform
range(0, 10, 2)               0, 2, 4, 6 or 8: what a sweep would list
choice(a, b), or a,b          one of them; a list, a mapping and the options of a group too
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from genlab.errors import UsageError
from genlab.sweeps.points import read, values


@dataclass(frozen=True)
class Dimension:
    """One word that is searched over. suggest: asks an Optuna trial for a value of it, as a word gives it.

    ends: values at which it is checked before a study begins.
    """

    key: str
    suggest: Callable[[Any], str]
    ends: Sequence[str]


@dataclass(frozen=True)
class Space:
    """The words of a study, each fixed or a dimension."""

    words: Sequence[str | Dimension]

    @property
    def dimensions(self) -> list[Dimension]:
        return [word for word in self.words if isinstance(word, Dimension)]

    def suggest(self, trial: Any) -> tuple[str, ...]:
        """The words of an Optuna trial; what it was given before stays so."""
        return self._words({each.key: each.suggest(trial) for each in self.dimensions})

    def corners(self) -> list[tuple[str, ...]]:
        """Points that have every value of every choice and both ends of every interval, few in all."""
        first = {each.key: each.ends[0] for each in self.dimensions}
        found = [first] + [
            first | {each.key: end} for each in self.dimensions for end in each.ends[1:]
        ]
        return [self._words(values) for values in found]

    def _words(self, values: dict[str, str]) -> tuple[str, ...]:
        return tuple(
            word if isinstance(word, str) else f"{word.key}={values[word.key]}"
            for word in self.words
        )


def space(words: Sequence[str]) -> Space:
    """Raises UsageError for a word that cannot be read, and where there is nothing to search."""
    found = Space([_word(word) for word in words])
    if not found.dimensions:
        raise UsageError(
            "there is nothing to search: give a word several values, as "
            "'optimizer.lr=tag(log, interval(1e-4, 1e-1))' or 'model.hidden=[100],[300]'"
        )
    keys = [each.key for each in found.dimensions]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key}=… is searched over twice: give it one word")
    return found


def _word(word: str) -> str | Dimension:
    override = read(word)
    if not override.is_sweep_override():
        return word
    key, found = override.get_key_element(), override.value()
    log = _is_log(word, found)
    if isinstance(found, IntervalSweep):
        return _interval(word, key, found, log)
    if isinstance(found, RangeSweep):
        return _range(word, key, found, log, override)
    if log:
        raise UsageError(f"{word}: tag(log, …) is for an interval or a range")
    choices = list(dict.fromkeys(values(word, override)))
    return Dimension(key, lambda trial: trial.suggest_categorical(key, choices), choices)


def _is_log(word: str, found: Any) -> bool:
    tags = found.tags if isinstance(found, Sweep) else set()
    if tags - {"log"}:
        raise UsageError(f"{word}: the only tag is log, as tag(log, interval(1e-4, 1e-1))")
    return bool(tags)


def _interval(word: str, key: str, found: IntervalSweep, log: bool) -> Dimension:
    low, high = found.start, found.end
    assert low is not None
    assert high is not None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"{word}: expected two numbers, the smaller one first")
    _require_positive(word, low, log)
    ends = (repr(low), repr(high))
    if isinstance(low, int) and isinstance(high, int):
        return Dimension(key, lambda trial: repr(trial.suggest_int(key, low, high, log=log)), ends)
    return Dimension(key, lambda trial: repr(trial.suggest_float(key, low, high, log=log)), ends)


def _range(word: str, key: str, found: RangeSweep, log: bool, override: Override) -> Dimension:
    """As evenly spaced numbers, so that a sampler knows which are near each other."""
    if log and (found.step != 1 or isinstance(found.start, float)):
        raise UsageError(f"{word}: a range with a logarithm has steps of 1: type an interval")
    if all(isinstance(part, int) for part in (found.start, found.stop, found.step)):
        return _whole_numbers(word, key, found, log)
    listed = sorted(values(word, override), key=float)  # 0.3, where a sum of steps may be another
    low, high, step = float(listed[0]), float(listed[-1]), float(abs(found.step))

    def suggest(trial: Any) -> str:
        value = trial.suggest_float(key, low, high, step=step)
        return min(listed, key=lambda text: abs(float(text) - value))

    return Dimension(key, suggest, (listed[0], listed[-1]))


def _whole_numbers(word: str, key: str, found: RangeSweep, log: bool) -> Dimension:
    numbers = range(found.start, found.stop, found.step or 1)  # type: ignore[arg-type]
    if not numbers or not found.step:
        raise UsageError(f"{word} has no values, so that there is nothing to search")
    low, high, step = min(numbers[0], numbers[-1]), max(numbers[0], numbers[-1]), abs(numbers.step)
    _require_positive(word, low, log)
    return Dimension(
        key,
        lambda trial: repr(trial.suggest_int(key, low, high, step=step, log=log)),
        (repr(low), repr(high)),
    )


def _require_positive(word: str, low: float, log: bool) -> None:
    if log and low <= 0:
        raise UsageError(f"{word}: a logarithm needs numbers above 0")
