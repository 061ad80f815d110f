"""Points are checked before the first begins, by one process that builds each and trains none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from tempfile import TemporaryFile
from typing import IO, Any

from genlab.config import compose
from genlab.errors import GenlabError, PluginError, UsageError
from genlab.progress import progress
from genlab.sweeps.environment import surroundings
from genlab.sweeps.points import Point
from genlab.targets import trusted_prefixes

PROGRAM = (sys.executable, "-m", "genlab.api.checking")
KINDS: dict[int, type[GenlabError]] = {2: UsageError, 3: PluginError}


@dataclass(frozen=True)
class Checked:
    """A point that would begin. settings: a hash of all of them, those too that decide no weights.

    processes: of one training. lacking: what this machine lacks for it. data: what they are, in words.
    validates: whether its last stage does.
    """

    point: Point
    settings: str
    processes: int
    lacking: str
    model: str
    data: str
    validates: bool


def check(points: Sequence[Point]) -> list[Checked]:
    """The points with their fingerprints.

    Raises what ``genlab train`` would raise for the first that it would refuse.
    """
    _compose(points)
    found: list[Checked] = []
    with progress("checking points", len(points)) as advance:
        for point, said in zip(points, answers(points), strict=True):
            found.append(_read(point, said, len(points)))
            advance(len(found), "")
    return found


def require_here(found: Sequence[Checked]) -> None:
    """Raise UsageError for a point that this machine cannot train."""
    for each in found:
        if each.lacking:
            raise UsageError(_where(each.point, len(found)) + each.lacking)


def answers(points: Sequence[Point]) -> Iterator[dict[str, Any]]:
    """What the process says of each point. Raises GenlabError where it ends before the last."""
    asked = {"points": [point.words for point in points], "trusted": trusted_prefixes()}
    with (
        _file(json.dumps(asked)) as words,
        _file() as errors,
        subprocess.Popen(
            PROGRAM,
            stdin=words,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=surroundings(),
        ) as process,
    ):
        assert process.stdout is not None
        for _ in points:
            line = process.stdout.readline()
            if line:
                yield json.loads(line)
                continue
            process.wait()
            errors.seek(0)
            last = (errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise GenlabError(f"the process that checks the points ended early: {last}")


def _file(content: str = "") -> IO[str]:
    """For a process to read from or write to, as a pipe that is full or broken would be in the way."""
    file = TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  (closed by whoever uses it)
    file.write(content)
    file.seek(0)
    return file


def _compose(points: Sequence[Point]) -> None:
    """As many as hold every word: what is misspelt is said at once, without torch."""
    seen = set[str]()
    for point in points:
        if not seen.issuperset(point.words):
            seen.update(point.words)
            try:
                compose(point.words)
            except GenlabError as error:
                raise type(error)(_where(point, len(points)) + str(error)) from None


def _where(point: Point, of: int) -> str:
    return f"point {point.number} of {of} ({point}): " if of > 1 else ""


def _read(point: Point, said: dict, of: int) -> Checked:
    if "error" in said:
        raise KINDS.get(said["code"], GenlabError)(_where(point, of) + said["error"])
    known = replace(point, fingerprint=said["fingerprint"])
    return Checked(known, *(said[field.name] for field in fields(Checked)[1:]))
