"""The gallery in samples/ is what the code makes of the scores and pictures that stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from genlab.cli.main import main
from genlab.gallery.page import build
from genlab.gallery.site import MANIFEST

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
README = (ROOT / "README.md").read_text()
MOST = 15 * 2**20  # bytes
MOST_OF_A_PAGE = 400 * 2**10  # without what moves

pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="there is no samples/ beside the tests"
)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def runs() -> list[str]:
    names = json.loads((SAMPLES / MANIFEST).read_text())["files"]
    return list(dict.fromkeys(name.split("/")[0] for name in names if name.endswith("/run.json")))


def test_pages_and_tables_are_those_of_the_committed_runs(tmp_path):
    again = build([SAMPLES / run for run in runs()], tmp_path / "again", markdown=True).parent
    assert files(again) == files(SAMPLES)
    for name in files(again):
        assert (again / name).read_bytes() == (SAMPLES / name).read_bytes(), name


def test_it_is_small_enough_for_a_repository():
    assert sum((SAMPLES / name).stat().st_size for name in files(SAMPLES)) < MOST


def test_no_page_is_heavy():
    for run in runs():
        page = SAMPLES / run
        shown = [page / "index.html", *page.glob("*/*.png")]
        weight = sum(f.stat().st_size for f in shown if not f.name.endswith(".frames.png"))
        assert weight <= MOST_OF_A_PAGE, f"{run}: {weight / 2**10:.0f} KiB"


def test_the_table_of_the_readme_is_what_its_command_prints(monkeypatch, capsys):
    found = re.search(
        r"^(genlab compare samples/[^\n]+)\n```\n\n(.+?)\n\n(?=[A-Z#])", README, re.M | re.S
    )
    assert found
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(found[1])[1:]) == 0
    assert capsys.readouterr().out.strip() == found[2]


def test_the_pictures_of_the_readme_are_there():
    pictures = re.findall(r'(?:src|href)="([^"]+)"', README)
    assert pictures
    assert all((ROOT / name).is_file() for name in pictures)
