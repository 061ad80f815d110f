"""Pages in a real browser: Debian's Chromium, driven by Playwright (``make test-browser``)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from genlab.contracts import DataSpec, Figure, Images
from genlab.gallery.page import build
from genlab.gallery.store import write_figures
from tests.gallery.conftest import SPEC

FRAMES = 5
OTHER = DataSpec("marks", "fixed", (1, 8, 8), "binary")


@pytest.fixture(scope="session")
def browser():
    if "GENLAB_BROWSER" not in os.environ:
        pytest.skip("GENLAB_BROWSER is unset: make test-browser names a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root has no sandbox; the pages are our own.
        launched = playwright.chromium.launch(
            executable_path=shutil.which(os.environ["GENLAB_BROWSER"]), args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def opened(browser):
    """opened(file, width, scheme) → a page that must stay without errors, alerts and outside requests."""
    wrong: list[str] = []
    pages = []

    def load(file: Path, width: int = 1280, scheme: str = "light"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        pages.append(page)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: (wrong.append("an alert"), dialog.dismiss()))
        page.on("requestfailed", lambda request: wrong.append(f"not loaded: {request.url}"))
        page.on("request", lambda request: _look(request.url, file, wrong))
        page.goto(file.resolve().as_uri())
        return page

    yield load
    for page in pages:
        page.close()
    assert not wrong


def _look(url: str, file: Path, wrong: list[str]) -> None:
    """Only files of the gallery are asked for."""
    site = next(
        folder for folder in file.resolve().parents if (folder / ".genlab-gallery.json").exists()
    )
    if not url.startswith((site.as_uri(), "data:")):
        wrong.append(f"asked for {url}")


@pytest.fixture
def site(make_run, make_score, tmp_path):
    """A gallery of three runs: the folder of its pages."""
    runs = [
        make_run("good", model="acme.Alpha", parameters=300, training_seconds=10.0),
        make_run(
            "better",
            model="acme.Beta",
            scores=(make_score(SPEC, -15.0),),
            parameters=200,
            training_seconds=30.0,
        ),
        make_run(
            "bound",
            OTHER,
            model="acme.Beta",
            scores=(make_score(OTHER, -16.0, guarantee="lower bound"),),
            parameters=100,
            training_seconds=20.0,
        ),
    ]
    x = torch.linspace(0, 1, FRAMES)[None, :, None, None, None].expand(2, FRAMES, 1, 8, 8)
    for run in runs:
        write_figures(run, [Figure("chain", "How it came.", Images(x), animated=True)], seed=0)
    return build([run.path for run in runs], tmp_path / "site").parent
