"""``pytest --genlab-check NAME`` in a process of its own, beside an installed plugin."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from genlab.testing.data import BUILT, DATA_CHECKS
from genlab.testing.installed import READABLE
from tests.test_plugins import install

CODE = """
from genlab.contracts import DataModule
from genlab.data import digits

def fine() -> DataModule:
    return digits()

def lost() -> DataModule:
    raise ValueError("no such file")
"""


@pytest.fixture
def site(tmp_path) -> Path:
    words = {
        f"configs/data/{name}.yaml": f"# {name}\n_target_: genlab_acme.{name}\n"
        for name in ("fine", "lost")
    }
    install(tmp_path / "site", "acme", CODE, words)
    return tmp_path / "site"


def run(site: Path, *words: str, test: str | None = None) -> subprocess.CompletedProcess[str]:
    if test is not None:
        (site.parent / "test_mine.py").write_text(test)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *words],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )


def test_each_check_of_each_option_is_a_test(site):
    done = run(site, "--genlab-check", "acme", test="def test_mine():\n    pass\n")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    found = re.findall(r"^(PASSED|FAILED|SKIPPED) genlab::(\S+)", done.stdout, re.MULTILINE)
    passed = {test for status, test in found if status == "PASSED"}
    skipped = {
        "an_order_follows_from_the_generator",
        "reals_are_standardised",
    }  # digits have neither
    fine = {READABLE, BUILT, *(c.name for c in DATA_CHECKS)} - skipped
    assert passed == {f"data=acme/lost[{READABLE}]", *(f"data=acme/fine[{name}]" for name in fine)}
    assert [test for status, test in found if status == "FAILED"] == [f"data=acme/lost[{BUILT}]"]
    assert "ValueError: no such file" in done.stdout
    assert "test_mine.py" in done.stdout


def test_without_the_option_nothing_is_imported(site):
    nothing = "not {'torch', 'genlab.testing'} & sys.modules.keys()"
    done = run(site, test=f"import sys\n\ndef test_mine():\n    assert {nothing}\n")
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acmy", "no plugin 'acmy' is installed; did you mean 'acme'?"),
        ("empty", "no configs/ folder"),
    ],
)
def test_what_cannot_be_checked_is_refused(site, name, said):
    install(site, "empty")
    done = run(site, "--genlab-check", name)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--genlab-check={name}: " in done.stderr
    assert said in done.stderr
