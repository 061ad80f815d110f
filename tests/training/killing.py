"""Runs in processes of their own, and how to kill one in the middle of an epoch."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

STEPS = 130  # in an epoch of the runs that are killed


def start(folder: Path, words: Sequence[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "genlab", "train", f"folder={folder}", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> Path:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return Path(out.strip().splitlines()[-1])


def kill_in_mid_epoch(process: subprocess.Popen, folder: Path, stage: str, after: int) -> None:
    """SIGKILL once a checkpoint from the inside of an epoch, of more than ``after`` steps, is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in folder.glob(f"*/checkpoints/{stage}/last.ckpt"):
            try:
                step = torch.load(path, weights_only=True)["global_step"]
            except (FileNotFoundError, RuntimeError, EOFError):  # just moved, or half of it there
                continue
            if step > after and step % STEPS:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                return
    pytest.fail(f"no checkpoint in the middle of an epoch appeared: {process.communicate()}")
