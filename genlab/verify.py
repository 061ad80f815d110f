"""Comparing a folder with every checksum that is recorded of it: of a run, an export, shards or data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from genlab.agreement import disagreement
from genlab.errors import UsageError
from genlab.runs import RunDirectory, digest
from genlab.sums import LIST, file_digest, files_of, is_intact, read_list, recorded, side
from genlab.trust import Refused, read_json, require_within
from genlab.trust.arrays import read_npz

UNRECORDED = re.compile(r"\.lock|.*\.sha256|\..*\.tmp")  # what has no content to be checked
WRONG_SHAPE = (KeyError, TypeError, AttributeError, ValueError, OverflowError)  # of somebody's JSON


class State(StrEnum):
    """What became of a file since its checksum was recorded."""

    VERIFIED = "verified"
    ALTERED = "altered"
    MISSING = "missing"
    EXTRA = "extra"  # in no list of a folder that lists its files
    UNCHECKED = "unchecked"  # no checksum is recorded


@dataclass(frozen=True)
class Finding:
    """One file. name: relative to the folder; why: what differs, where that is not its own checksum."""

    name: str
    state: State
    why: str = ""


@dataclass(frozen=True)
class Verified:
    """kind: run, export, folder (with SHA256SUMS), shards or data."""

    path: Path
    kind: str
    findings: list[Finding]

    @property
    def whole(self) -> bool:
        """Whether nothing differs. What has no checksum says nothing."""
        return all(f.state in (State.VERIFIED, State.UNCHECKED) for f in self.findings)


def verify(path: Path) -> Verified:
    """Every file of a folder. Raises UsageError for one that records no checksums of any known kind."""
    if not path.is_dir():
        raise UsageError(
            f"there is no folder {path}: name a run, an export, shards or a data folder"
        )
    if RunDirectory(path).exported:
        return Verified(path, "export", list(_listed(path, State.EXTRA)))
    if (path / LIST).is_file():
        return Verified(path, "folder", list(_listed(path, State.UNCHECKED)))
    if (path / "run.json").is_file():
        return Verified(path, "run", list(_run(RunDirectory(path))))
    if (path / "index.json").is_file():
        return Verified(path, "shards", list(_shards(path)))
    found = list(_data(path))
    if not found:
        raise UsageError(
            f"{path} is no run, export or folder of shards, and holds no data file that genlab knows"
        )
    return Verified(path, "data", found)


def _listed(folder: Path, others: State) -> Iterator[Finding]:
    """Against SHA256SUMS. others: what files are that it does not list; that of an export lists all."""
    if not (folder / LIST).is_file():
        yield Finding(LIST, State.MISSING)
        return
    sums = read_list(folder)
    for name, expected in sums.items():
        yield _compared(folder, name, [expected])
    for name in files_of(folder):
        if name not in sums:
            yield Finding(name, others)


def _compared(folder: Path, name: str, sums: list[str]) -> Finding:
    path = folder / name
    if not path.exists():
        return Finding(name, State.MISSING)
    try:
        same = file_digest(path) in sums
    except Refused as error:
        return Finding(name, State.ALTERED, str(error))
    return Finding(name, State.VERIFIED if same else State.ALTERED)


def _run(run: RunDirectory) -> Iterator[Finding]:
    """Checkpoints by the checksums beside them, settings by their hash in the record, numbers by the
    hashes of their settings in their names and of the weights that they are of, and by the values beside
    them, which have a checksum in them.
    """
    record, checked = run.read(), {"config.yaml"}
    yield _settings(run, record)
    for path in sorted(run.path.rglob("*.sha256")):
        name = path.relative_to(run.path).as_posix().removesuffix(".sha256")
        checked.add(name)
        if name.endswith("previous.ckpt") and not (run.path / name).exists():
            continue  # a kill may leave the checksum alone
        yield _compared(run.path, name, recorded(run.path / name))
    for path in sorted(run.path.rglob("*.ckpt")):
        name = path.relative_to(run.path).as_posix()
        if name not in checked:
            checked.add(name)
            yield Finding(name, State.ALTERED, f"there is no {side(path).name} beside it")
    for folder in (run.scores, run.metrics):
        for path in sorted(folder.glob("*.json")):
            found = list(_numbers(run, path))
            checked.update(each.name for each in found)
            yield from found
    for name in files_of(run.path):
        if name not in checked and not UNRECORDED.fullmatch(name.rpartition("/")[2]):
            yield Finding(name, State.UNCHECKED)


def _settings(run: RunDirectory, record: dict[str, Any]) -> Finding:
    from genlab.config import identity

    if record.get("selection"):  # the settings are those of the candidate that was chosen
        return Finding("config.yaml", State.UNCHECKED)
    config = run.read_config()
    same = digest(identity(config)) == record.get("fingerprint")
    if same:
        return Finding("config.yaml", State.VERIFIED)
    return Finding("config.yaml", State.ALTERED, "its settings do not have the hash in run.json")


def _numbers(run: RunDirectory, path: Path) -> Iterator[Finding]:
    """A score, or what a metric says; and the values that its means are of.

    Without these, as in the folder of a page, or without their sum, nothing shows that it says what it
    said when it was written.
    """
    name, beside = path.relative_to(run.path).as_posix(), None
    try:
        content = read_json(path, run.path)
        why = _of_another(run, path, content)
        beside = _values(run, path.with_suffix(".npz"), content)
        sure = beside is not None and beside.state is State.VERIFIED
        if sure and not why:
            why = disagreement(content, read_npz(path.with_suffix(".npz")))
    except Refused as error:
        sure, why = False, str(error)
    except WRONG_SHAPE:
        sure, why = False, "it is not what genlab writes"
    good = State.VERIFIED if sure else State.UNCHECKED
    yield Finding(name, State.ALTERED if why else good, why)
    if beside is not None:
        yield beside


def _of_another(run: RunDirectory, path: Path, content: Any) -> str:
    """Whether numbers are of other settings or weights than they say, in words; "" where not."""
    asked = content.get("likelihood") or content["metric"]
    if "samples" in content:
        asked = {key: content[key] for key in ("metric", "samples", "features")}
    if path.stem.rpartition("-")[2] != digest(asked)[:8]:
        return "its settings do not have the hash in its name"
    weights = content["checkpoint"]
    if _sum_of(run, weights["path"]) not in (None, weights["sha256"]):
        return f"it is of other weights than {weights['path']}"
    return ""


def _values(run: RunDirectory, beside: Path, content: Any) -> Finding | None:
    """None without a sum (sample quality, and what older genlab wrote), or where a page left them out."""
    if "npz_sha256" not in content or not (beside.exists() or run.checkpoints.is_dir()):
        return None
    require_within(beside, run.path)
    return _compared(run.path, beside.relative_to(run.path).as_posix(), [content["npz_sha256"]])


def _sum_of(run: RunDirectory, checkpoint: str) -> str | None:
    """None for one that is gone, or that is reported itself."""
    path = run.path / checkpoint
    if not path.is_file() or not side(path).is_file() or not is_intact(path):
        return None
    return file_digest(path)


def _shards(folder: Path) -> Iterator[Finding]:
    """Against the index."""
    from genlab.data.shard_index import FILE, inside, read_index

    columns = [
        c for split in read_index(folder).splits.values() for c in (split.x, split.label) if c
    ]
    sums = {shard.file: shard.sha256 for column in columns for shard in column.shards}
    for name, expected in sums.items():
        inside(folder, name)
        yield _compared(folder, name, [expected])
    for name in files_of(folder):
        if name not in {*sums, FILE}:
            yield Finding(name, State.EXTRA)


def _data(folder: Path) -> Iterator[Finding]:
    """Against the checksums of published files; others may lie beside them."""
    from genlab.data.checksums import SHA256

    for name, expected in SHA256.items():
        if (folder / name).exists():
            yield _compared(folder, name, [expected])
