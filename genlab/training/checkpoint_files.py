"""Checkpoint files: whole or absent, checked by checksum, and never unpickled.

``last.ckpt`` is where a stage goes on after a crash, ``previous.ckpt`` the one before, for when that is
damaged; ``best.ckpt`` holds the weights with the lowest monitored value. Beside each lies
``<name>.sha256`` with the checksums of the file and of the one it replaced: whichever of the two files a
kill leaves behind, its checksum is there.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from genlab.contracts import UsageError
from genlab.runs import RunDirectory, atomic, write_text
from genlab.sums import is_intact, recorded, side
from genlab.trust.tensors import read_checkpoint

KEEPER = "Checkpoints"  # whose state in a checkpoint has the best value so far


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, tensors and plain values only.

    Raises UsageError where the file is missing, altered, or holds pickled objects.
    """
    if not path.is_file():
        raise UsageError(f"no checkpoint at {path}")
    if not is_intact(path):
        raise UsageError(
            f"{path} is not what genlab wrote: its checksum differs from {path.name}.sha256"
        )
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint, dict):
        raise UsageError(f"{path} is not a readable checkpoint: it holds no mapping")
    return checkpoint


def to_go_on_from(run: RunDirectory, stage: str, say: Callable[[str], None]) -> Path | None:
    """The checkpoint with which a stage goes on; None where it begins anew.

    That is the last one, or the one before where a kill left no last or the last is damaged. Without a
    whole one, and where the best weights so far are damaged or missing, which nothing can bring back, the
    stage begins anew. Trained again, it comes to the same weights. say: told of what is damaged.
    """
    last, previous, best = (run.checkpoint(stage, w) for w in ("last", "previous", "best"))
    found = [path for path in (last, previous) if path.is_file()]
    damaged = [p for p in (*found, best) if p.is_file() and not (recorded(p) and is_intact(p))]
    whole = [path for path in found if path not in damaged]
    lost = bool(whole) and is_lost(best, load_checkpoint(whole[0]))
    start = whole[0] if whole and best not in damaged and not lost else None
    then = f"goes on from {start.name}" if start else "begins anew"
    for path in damaged:
        say(f"{path} is damaged (its checksum differs): stage {stage!r} {then}")
    if lost:
        say(f"{best} is missing: stage {stage!r} {then}")
    return start


def is_lost(best: Path, checkpoint: Mapping[str, Any]) -> bool:
    """Whether a stage's best weights are not there, and a checkpoint of it says that there were any."""
    states = checkpoint.get("callbacks")
    state = states.get(KEEPER) if isinstance(states, Mapping) else None
    written = isinstance(state, Mapping) and state.get("best") is not None
    return written and not best.is_file()


def drop_previous(run: RunDirectory, stage: str) -> None:
    """Nothing goes on from it once the stage has ended."""
    path = run.checkpoint(stage, "previous")
    path.unlink(missing_ok=True)
    side(path).unlink(missing_ok=True)


def load_weights(model: torch.nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Put a checkpoint's (averaged) weights into a model, which may make room for them in a hook before.

    Raises UsageError where they are another model's.
    """
    state = checkpoint.get("state_dict")
    if not isinstance(state, dict):
        raise UsageError(f"{path} is not a readable checkpoint: there is no state_dict in it")
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        own = model.state_dict()
        odd = sorted(map(str, own.keys() ^ state.keys()))
        odd += [k for k in own.keys() & state.keys() if _shape(own[k]) != _shape(state[k])]
        shown = ", ".join(odd[:3]) + (", …" if len(odd) > 3 else "")
        raise UsageError(
            f"{path} is a checkpoint of another model: it differs from this "
            f"{type(model).__name__} in {shown or 'what its weights are'}"
        ) from error


def _shape(value: Any) -> Any:
    return getattr(value, "shape", type(value))


def averaged(checkpoint: dict[str, Any]) -> bool:
    """Whether its weights are averages over a stage's steps."""
    return not checkpoint.keys().isdisjoint(("current_model_state", "averaged_before"))


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's way to files, made atomic and checked."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        path = Path(path)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getbuffer()
        new, old = hashlib.sha256(content).hexdigest(), recorded(path)[:1]
        with atomic(path) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before anything else is touched: the disk may be full
            if path.name == "last.ckpt" and path.is_file():
                _move(path, path.with_name("previous.ckpt"))
            _write_sums(path, [new, *old])

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return load_checkpoint(Path(path))


def _move(path: Path, to: Path) -> None:
    """With its checksum; whatever a kill leaves under the new name, its checksum is there."""
    _write_sums(to, [*recorded(path), *recorded(to)[:1]])
    path.replace(to)


def _write_sums(path: Path, sums: Sequence[str]) -> None:
    write_text(side(path), "\n".join(sums) + "\n")
