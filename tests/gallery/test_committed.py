"""The gallery in samples/ is what the code makes of the scores and pictures that stand there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genlab.gallery.page import MANIFEST, build

SAMPLES = Path(__file__).parents[2] / "samples"
MOST = 15 * 2**20  # bytes

pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="there is no samples/ beside the tests"
)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_pages_and_tables_are_those_of_the_committed_runs(tmp_path):
    names = json.loads((SAMPLES / MANIFEST).read_text())["files"]
    runs = list(dict.fromkeys(name.split("/")[0] for name in names if name.endswith("/run.json")))
    again = build([SAMPLES / run for run in runs], tmp_path / "again", markdown=True).parent
    assert files(again) == files(SAMPLES)
    for name in files(again):
        assert (again / name).read_bytes() == (SAMPLES / name).read_bytes(), name


def test_it_is_small_enough_for_a_repository():
    assert sum((SAMPLES / name).stat().st_size for name in files(SAMPLES)) < MOST
