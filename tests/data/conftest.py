"""What the tests of data share: real files where they are to be had, and a search path of their own."""

import os
from pathlib import Path

import pytest

from genlab.data import files


@pytest.fixture
def real_files() -> None:
    """Ask for the published files; without them the test is skipped."""
    if not os.environ.get("GENLAB_DATA"):
        pytest.skip("GENLAB_DATA is unset: it names the folder with MNIST and the other files")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which data files are looked for."""
    monkeypatch.setattr(files, "folders", lambda: [tmp_path])
    return tmp_path
