"""A run as a folder for others: weights, what builds the model again, scores, a card. Nothing in it runs.

::

    README.md          what it is: data, settings, scores and what kind of number each is
    model.safetensors  the weights as evaluation uses them
    config.json        the components of model, data, likelihood and trainer with their options
    run.json           the run's record, without what it says of the machine and its owner
    scores/, metrics/  of these weights, as JSON
    samples/           a picture of samples
    SHA256SUMS         of all of these

It has the names of a run directory, so that whatever reads those reads it too; ``RunDirectory.exported``
tells them apart.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genlab import __version__
from genlab.api.card import card
from genlab.api.run import Run
from genlab.contracts import GenlabError, UsageError
from genlab.runs import RunDirectory, atomic, now, require_writable, write_json, write_text
from genlab.sums import LIST, file_digest, files_of
from genlab.trust import read_json
from genlab.trust.pictures import read_picture

KEPT = (
    "schema",
    "status",
    "fingerprint",
    "seed",
    "spec",
    "stages",
    "losses",
    "summary",
    "parameters",
    "generative",
    "training_seconds",
    "finished",
)  # of a run's record; the rest is about a machine
WORDS = (
    "model",
    "schedule",
    "denoiser",
    "data",
    "optimizer",
    "stages",
    "select",
    "seed",
    "experiment",
)
WORDS_OF_SAMPLES = "samples/seed-0.json"
PICTURES = ("samples/seed-0.png", "samples/seed-0.thumb.png")


def export(run: Run, out: Path) -> Path:
    """Write a completed run into a new folder, whole or not at all, and return it.

    Raises UsageError where the folder is there already, or the run has not completed or is an export.
    """
    if run.directory.exported:
        raise UsageError(f"{run.path} is an export already: copy the folder")
    if run.record["status"] != "completed":
        raise UsageError(
            f"{run.path} has not completed ({run.directory.condition(run.record)}): go on with it by "
            "genlab train … --resume, and export it then"
        )
    with _new(out) as folder:
        _write(run, folder)
    return out


def _write(run: Run, folder: Path) -> None:
    from safetensors.torch import save

    state = {name: value.detach().clone().contiguous() for name, value in run.weights().items()}
    with atomic(RunDirectory(folder).weights) as file:
        file.write(save(state))
    write_json(folder / "config.json", _config(run))
    write_json(folder / "run.json", _record(run))
    for name, score in _scores(run):
        write_json(folder / name, score)
    for name in PICTURES:
        if (run.path / name).is_file():
            with atomic(folder / name) as file:  # without the words in it, which name folders
                read_picture(run.path / name).save(file, "PNG", optimize=True)
    if (run.path / WORDS_OF_SAMPLES).is_file():
        write_json(folder / WORDS_OF_SAMPLES, read_json(run.path / WORDS_OF_SAMPLES, run.path))
    _write_sums(folder)  # without which nothing reads an export, the card's tables neither
    write_text(folder / "README.md", card(run, folder))
    _write_sums(folder)


def _write_sums(folder: Path) -> None:
    lines = [f"{file_digest(folder / name)}  {name}\n" for name in files_of(folder)]
    write_text(folder / LIST, "".join(lines))


def _config(run: Run) -> dict[str, Any]:
    """What builds the model again and scores it. Of the trainer only the precision is the model's."""
    nodes = {key: run.node(key) for key in ("model", "data", "likelihood")}
    if json.loads(json.dumps(nodes)) != nodes:
        raise UsageError(
            f"{run.directory.config}: it holds keys that are no text, as JSON has none"
        )
    trainer = run.node("trainer")
    precision = {key: trainer[key] for key in ("_target_", "precision") if key in trainer}
    return nodes | {"trainer": precision}


def _record(run: Run) -> dict[str, Any]:
    record = run.record
    sessions = record.get("sessions") or [{}]
    packages = {str(node["_target_"]).split(".")[0] for node in _components(_config(run))}
    return {
        **{key: record[key] for key in KEPT if key in record},
        "overrides": [word for word in record.get("overrides", []) if _top(word) in WORDS],
        "plugins": _plugins(packages, record),
        "sessions": [{"versions": sessions[-1].get("versions", {})}],
        "export": {"genlab": __version__, "created": now(), "checkpoint": run.provenance},
    }


def _top(word: str) -> str:
    return word.lstrip("+~").split("=")[0].split(".")[0]


def _components(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every component in a configuration."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _components(each)


def _plugins(packages: set[str], record: Mapping[str, Any]) -> dict[str, str]:
    """The distributions and versions without which it cannot be opened."""
    from genlab.plugins import plugins

    needed = {plugin.distribution for plugin in plugins() if plugin.package in packages}
    return {name: v for name, v in (record.get("plugins") or {}).items() if name in needed}


def _scores(run: Run) -> Iterator[tuple[str, Any]]:
    """Every score and measurement of these very weights, by its name in a run."""
    for folder in (run.directory.scores, run.directory.metrics):
        files = [path for path in sorted(folder.glob("*.json")) if path.is_file()]
        found = [(f"{folder.name}/{path.name}", read_json(path, run.path)) for path in files]
        ours = [(n, c) for n, c in found if _weights(c) == run.provenance["sha256"]]
        yield from sorted(ours, key=lambda each: str(each[1].get("created")))


def _weights(content: Any) -> Any:
    """The checksum of the weights that a score is of; None where it does not say."""
    checkpoint = content.get("checkpoint") if isinstance(content, dict) else None
    return checkpoint.get("sha256") if isinstance(checkpoint, dict) else None


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A folder that gets its name once it is whole."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"-o {out} is there already: name a folder that is new")
    require_writable(out.parent)
    partial = out.parent / f".{out.name}.{os.getpid()}.partial"
    folder = partial / out.name  # the card calls it by its name
    try:
        folder.mkdir(parents=True)
        yield folder
        folder.rename(out)
    except OSError as error:
        raise GenlabError(f"{out} cannot be written ({error.strerror}): nothing is kept") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
