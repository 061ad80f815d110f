"""Training, scoring and drawing where the weights lie on another device than that where data are read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.pretend import build
from tests.training.test_families import FAMILIES

pytestmark = pytest.mark.slow
THERE = "+callbacks.there._target_=tests.device.pretend.There"
MIXED = """
import sys, torch
from tests.device.pretend import install

install(sys.argv[1])
x = torch.randn(3, device="pretend")
assert (2 * x + x.new_ones(()).cpu()).device.type == "pretend"
for wrong in (
    lambda: x + torch.ones(3),
    lambda: torch.ones(3) @ x,
    lambda: torch.randn(3, device="pretend", generator=torch.Generator()),
    lambda: x.numpy(),
):
    try:
        wrong()
    except (RuntimeError, TypeError):
        continue
    sys.exit("nothing was wrong")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> str:
    if not (shutil.which("c++") and shutil.which("ninja", path=_PATH)):
        pytest.skip("there is no C++ compiler, or no ninja, to make a device with")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", _PATH)
        return str(build(tmp_path_factory.mktemp("pretend")))


_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def run(*command: str) -> None:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-5000:]


def test_what_mixes_devices_is_wrong(library):
    run("-c", MIXED, library)


SHORT = ["stages.fit.max_epochs=1", "evaluate=[val]"]


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("made", ["metric=all", "samples=20"]),
        ("diffusion", [*SHORT, "gallery=false"]),
        ("gmmn", ["stages.match.max_epochs=1", "evaluate=[val]"]),
        ("draw", SHORT),
        ("rbm", []),
        ("stack_classifier", []),
    ],
)
def test_a_family(library, tmp_path, family, words):
    """Training, scores, pictures; the finished run scored by another seed, and drawn from."""
    run("-m", "tests.device", library, str(tmp_path), *FAMILIES[family], *words, THERE)


@pytest.mark.parametrize("family", ["made", "rbm"])
def test_two_processes(library, tmp_path, family):
    """What travels between them lies on their devices."""
    two = ["trainer.strategy=ddp", "trainer.devices=2"]
    run("-m", "tests.device", library, str(tmp_path), *FAMILIES[family], THERE, *two)
