"""The folder of a page is a run: it is compared and shown again like the one it was made from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from genlab.cli.main import main
from genlab.contracts import Figure, Images
from genlab.gallery import page
from genlab.gallery.page import build
from genlab.gallery.store import write_figures
from genlab.runs import RunDirectory


def pages(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def test_a_gallery_of_a_gallery_is_the_same(make_run, make_score, tmp_path):
    runs = [make_run("a"), make_run("b", model="acme.gmmn_ae")]
    chain = Figure("chain", "How it came.", Images(torch.rand(2, 5, 1, 8, 8)), animated=True)
    write_figures(runs[0], [chain], seed=0)
    first = build([run.path for run in runs], tmp_path / "first").parent
    second = build([first / "a", first / "b"], tmp_path / "second").parent
    assert pages(first) == pages(second)
    assert "GMMN+AE" in (first / "index.html").read_text()


def test_a_gallery_can_be_written_anew_from_itself(make_run, tmp_path):
    site = build([make_run("a").path, make_run("b").path], tmp_path / "site").parent
    before = pages(site)
    build([site / "a", site / "b"], site)
    assert pages(site) == before


def test_a_gallery_stays_where_the_next_one_fails(make_run, tmp_path, monkeypatch):
    run = make_run("a")
    site = build([run.path], tmp_path / "site").parent
    before = pages(site)
    monkeypatch.setattr(page, "render", lambda *args, **values: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build([run.path], site)
    assert pages(site) == before
    monkeypatch.undo()
    build([run.path], site)
    assert pages(site) == before


def test_it_is_compared_as_the_run_is(make_run, tmp_path, capsys):
    run = make_run("a")
    site = build([run.path], tmp_path / "site").parent
    said = []
    for path in (run.path, site / "a"):
        assert main(["compare", str(path), "--format", "json"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_names_of_machines_and_folders_are_left_behind(make_run, tmp_path):
    session = {"host": "secret", "argv": ["/home/secret"], "pid": 1, "versions": {"torch": "2"}}
    words = ["model=made", "folder=/home/secret/runs"]
    run = make_run("a", overrides=words, sessions=[session], heartbeat="now")
    site = build([run.path], tmp_path / "site").parent
    assert not any(b"secret" in content for content in pages(site).values())
    record = RunDirectory(site / "a").read()
    assert record["overrides"] == ["model=made"]
    assert record["sessions"] == [{"versions": {"torch": "2"}}]


def test_a_link_to_elsewhere_is_not_followed(make_run, tmp_path):
    run = make_run("a")
    (tmp_path / "secret.json").write_text("{}")
    (run.samples / "link.json").symlink_to(tmp_path / "secret.json")
    site = build([run.path], tmp_path / "site").parent
    assert not (site / "a" / "samples" / "link.json").exists()


def test_the_page_of_a_repository_shows_every_run_with_its_score(make_run, make_score, tmp_path):
    runs = [make_run("a"), make_run("b", model="acme.Odd_[x](y)<b>", scores=())]
    site = build([run.path for run in runs], tmp_path / "site", markdown=True).parent
    text = (site / "README.md").read_text()
    assert "## bits (fixed)" in text
    assert "NLL 18.80 ± 0.20 nats, exact" in text
    assert "no test score" in text
    assert "<b>Odd_[x](y)&lt;b&gt;</b>" in text  # raw HTML, in which Markdown reads nothing …
    assert (
        "\n\n" not in text[text.index("<table>") : text.index("</table>")]
    )  # … up to an empty line
    for link in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert (site / link).is_file()
    again = build([site / "a", site / "b"], tmp_path / "again", markdown=True).parent
    assert pages(site) == pages(again)
