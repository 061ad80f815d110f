import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from genlab.contracts import DataSpec, Figure, Images, UsageError
from genlab.gallery import page as page_module
from genlab.gallery.page import build
from genlab.gallery.quality import verdict
from genlab.gallery.site import MANIFEST, STAGING
from genlab.gallery.store import about_run, write_figures, write_samples
from genlab.runs import write_json

SPEC = DataSpec("bits", "fixed", (1, 8, 8), "binary")
HOSTILE = """<script>alert('1')</script>"&"""


class Page(HTMLParser):
    """The elements of a page, the addresses it names and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.folder = path.parent
        self.tags: list[str] = []
        self.links: list[str] = []
        self.parts: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.inside = False
        self.html = path.read_text()
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]
        if tag == "script":
            self.scripts.append("")
        self.inside = tag == "script"
        self.links += [v for k, v in attrs if k in ("href", "src", "srcset") and v != "data:,"]

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data
        else:
            self.parts.append(data)

    def handle_endtag(self, tag):
        self.inside = False

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture
def built(tmp_path):
    """built(*runs) → the index page and, by the name of the run's folder, its page."""

    def pages(*runs):
        index = build([run.path for run in runs], tmp_path / "out")
        return Page(index), {p.parent.name: Page(p) for p in index.parent.glob("*/index.html")}

    return pages


def test_a_run_is_shown_with_all_it_has(make_run, built):
    run = make_run()
    figure = Figure("chain", "How it came to be.", Images(torch.rand(2, 5, 1, 8, 8)), animated=True)
    write_figures(run, [figure], seed=0)
    index, pages = built(run)
    page = pages["one"]
    assert "Imagined" in index.text
    assert "NLL 18.80 ± 0.20 nats" in index.text
    assert "1,234 parameters · 1 min 15 s" in index.text
    assert "an image of 8 × 8 binary pixels" in page.text
    assert "6.40 nats better than independent entries" in page.text
    assert "Exact: the model's own probability" in page.text
    assert "genlab train model=imagined data=bits" in page.text
    assert "How it came to be." in page.text
    assert page.tags.count("picture") == 1
    assert "nats per datum" in page.text
    assert "_target_: acme.Imagined" in page.text


def test_sample_quality_stands_beside_that_of_training_data(make_run, built):
    run = make_run("one")
    data = {"name": "bits", "variant": "fixed", "split": "test", "n": 500}
    quality = {
        "data": data,
        "metric": {"name": "mmd", "parameters": {}, "shown": ["mmd2"]},
        "features": {"name": "cnn64", "accuracy": 0.975},
        "values": {"mmd2": 0.0084},
        "reference": {"of": "training data", "values": {"mmd2": 0.0002}},
    }
    write_json(run.metrics / "test-mmd-1.json", quality)
    _, pages = built(run)
    assert "MMD² ↓ 0.0084 (0.0002)" in pages["one"].text
    assert "500 samples beside as many data" in pages["one"].text
    assert "(cnn64, 97.5 % right)" in pages["one"].text


def test_every_address_is_a_file_of_the_gallery(make_run, built):
    index, pages = built(make_run("a"), make_run("b"))
    for page in (index, *pages.values()):
        assert page.links
        for link in page.links:
            assert not re.match(r"[a-z]+:|/", link), link
            name, _, part = link.partition("#")
            assert (page.folder / (name or "index.html")).is_file(), link
            assert not part or f'id="{part}"' in page.html


def test_pages_run_one_script_of_their_own_and_ask_for_nothing(make_run, built):
    index, pages = built(make_run())
    for page, script in ((index, "index.js"), *((page, "run.js") for page in pages.values())):
        assert not {"iframe", "object", "embed"} & set(page.tags)
        text = (page.folder / "index.html").read_text()
        assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest", text)
        source = (Path(page_module.__file__).parent / "templates" / script).read_text()
        assert page.scripts == [source.rstrip("\n")]
        digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
        assert f"default-src 'none'; script-src 'sha256-{digest}'" in page.policy


def test_hostile_names_are_text(make_run, make_score, built):
    spec = DataSpec(HOSTILE, HOSTILE, (1, 8, 8), "binary")
    scores = (make_score(spec, method=HOSTILE),)
    run = make_run("a<b>", spec, scores, model=f"acme.{HOSTILE}", overrides=[f"data={HOSTILE}"])
    figures = [
        Figure(HOSTILE, HOSTILE + "x" * 300, Images(torch.rand(1, 1, 1, 8, 8))),
        Figure(HOSTILE, HOSTILE, Images(torch.rand(1))),
    ]
    write_figures(run, figures, seed=0)
    index, pages = built(run)
    for page in (index, *pages.values()):
        assert page.tags.count("script") == 1
        assert page.text.count(HOSTILE) >= 2


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        ({"status": "failed", "error": "the loss is nan at step 7"}, "the loss is nan at step 7"),
        ({"status": "interrupted"}, "The run was interrupted"),
        ({"status": "running", "heartbeat": "yesterday"}, "last sign of life is of yesterday"),
    ],
)
def test_a_run_that_did_not_complete_says_so(make_run, built, record, shown):
    index, pages = built(make_run(**record))
    assert shown in index.text
    assert shown in pages["one"].text


def test_a_run_that_is_alive_is_still_going_on(make_run, built):
    progress = {"stage": "fit", "number": 1, "stages": 3, "step": 5, "steps": 9}
    run = make_run(status="running", progress=progress)
    with run.lock():
        index, _ = built(run)
    assert "still going on in stage 1/3 fit, at step 5 of 9" in index.text


def test_curves_stand_by_stage_with_what_their_loss_is(make_run, built):
    """Losses of any scale, values in another unit, nothing validated, nothing to draw."""
    run = make_run(stages=["rbm", "classify", "out"], losses={"rbm": "free energy <of> layer 1"})
    rows = ["stage,epoch,step,name,value"]
    rows += [f"rbm,0,{k},loss,{-800 / k}" for k in range(1, 60)]
    rows += [f"classify,0,{k},loss,{0.8**k}" for k in range(1, 60)]
    rows += ["classify,0,59,val/error,0.03", "classify,0,59,lr,0.1", "out,0,0,val/nll,7.25"]
    run.curves.write_text("\n".join(rows))
    _, pages = built(run)
    text = pages["one"].text
    assert "Stage 1/3 rbm loss: free energy <of> layer 1" in text
    assert text.count("Stage 2/3 classify") == 2, "an error is not drawn on the axis of a loss"
    assert text.count("Logarithmic axis") == 1
    assert "Stage 3/3 out Solved in closed form, so there is no curve: val/nll 7.25." in text
    assert "val/" not in text[text.index("1/3 rbm") : text.index("2/3 classify")]


def test_what_cannot_be_read_is_replaced_by_the_reason(make_run, built):
    run = make_run()
    write_figures(run, [Figure("f", "A figure.", Images(torch.rand(1, 1, 1, 8, 8)))], seed=0)
    picture = run.samples / "seed-0.png"
    picture.write_bytes(picture.read_bytes()[:60])
    (run.figures / "f.png").unlink()
    (run.scores / "test-0.json").write_text("{}")
    run.curves.write_text("no curves\n1\n")
    run.config.write_bytes(b"\xff\xfe")
    _, pages = built(run)
    text = pages["one"].text
    assert "seed-0.png is unreadable" in text
    assert "f.png is missing" in text
    assert "test-0.json is unreadable" in text
    assert "metrics.csv is unreadable" in text
    assert "config.yaml is unreadable" in text
    assert "unknown model" in text


def test_numbers_beyond_every_picture_are_problems_of_the_page(make_run, built):
    run = make_run()
    entry = (
        '{"samples": [1], "held out": [1], "support": "levels", "split": "test", "training": 1e999}'
    )
    (run.figures / "nearest.json").write_text(entry)
    words = (run.samples / "seed-0.json").read_text()
    start = words.index('"columns": ') + len('"columns": ')
    (run.samples / "seed-0.json").write_text(words[:start] + "1e999" + words[start + 1 :])
    _, pages = built(run)
    assert "nearest.json is unreadable: OverflowError" in pages["one"].text
    assert "img" in pages["one"].tags


def test_a_run_with_nothing_but_a_broken_record_has_a_tile(make_run, built):
    run = make_run("broken")
    run.record.write_text("{")
    index, _ = built(make_run("fine"), run)
    assert "run.json cannot be used" in index.text
    assert "Imagined" in index.text


def test_a_run_shows_only_its_own_files(make_run, built, tmp_path):
    run = make_run()
    (tmp_path / "runs" / "secret.png").write_bytes((run.samples / "seed-0.png").read_bytes())
    (run.figures / "link.png").symlink_to(tmp_path / "runs" / "secret.png")
    entries = [
        {"title": name, "caption": "", "files": {"still": name}, "animated": False}
        for name in ("../../secret.png", "link.png", "data.json")
    ]
    (run.figures / "figures.json").write_text(json.dumps({"figures": entries}))
    _, pages = built(run)
    text = pages["one"].text
    assert "link.png leads out of" in text
    assert text.count("no picture is named") == 2


def test_a_number_that_cannot_be_trusted_is_not_printed(make_run, make_score, built):
    spec = SPEC
    doubtful = make_score(spec, None, guarantee="estimate", reason="it did not converge")
    bound = make_score(
        spec, -19.0, guarantee="lower bound", mean_on_original_scale=-21.5, shared=[-1.0, 2.0]
    )
    index, pages = built(make_run("a", scores=(doubtful,)), make_run("b", scores=(doubtful, bound)))
    assert "No test score that can be trusted" in index.text
    assert "NLL ≤ 19.00 ± 0.20" in index.text
    assert "No number is given: it did not converge." in pages["a"].text
    assert "between 17.00 and 20.00 nats" in pages["b"].text
    assert "at most 19.00 ± 0.20 nats" in pages["b"].text
    assert "before standardisation ≤ 21.50 ± 0.20 nats" in pages["b"].text


def test_runs_of_one_name_have_pages_of_their_own(make_run, tmp_path):
    make_run("x/one")
    make_run("y/one")
    paths = [tmp_path / "runs" / folder / "one" for folder in "xy"]
    index = build(paths, tmp_path / "out")
    assert {p.parent.name for p in index.parent.glob("*/index.html")} == {"one", "one-2"}


def test_a_folder_that_holds_something_else_is_refused(make_run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    run = make_run()
    with pytest.raises(UsageError, match="--overwrite"):
        build([run.path], out)
    assert [p.name for p in out.iterdir()] == ["thesis.tex"]
    build([run.path], out, overwrite=True)
    assert (out / "thesis.tex").read_text() == "years of work"
    with pytest.raises(UsageError, match="is a file"):
        build([run.path], out / "thesis.tex")


def test_a_gallery_is_replaced_and_other_files_stay(make_run, tmp_path):
    out, a, b = tmp_path / "out", make_run("a"), make_run("b")
    build([a.path, b.path], out)
    (out / "a" / "notes.txt").write_text("mine")
    build([b.path], out)
    assert sorted(p.name for p in out.iterdir()) == [MANIFEST, "a", "b", "index.html"]
    assert [p.name for p in (out / "a").iterdir()] == ["notes.txt"]


def test_a_manifest_cannot_remove_files_elsewhere(make_run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("")
    (out / MANIFEST).write_text(json.dumps({"files": ["../precious"]}))
    build([make_run().path], out)
    assert (tmp_path / "precious").exists()
    (out / MANIFEST).write_text("{")
    with pytest.raises(UsageError, match="damaged"):
        build([tmp_path / "runs" / "one"], out)


def test_what_is_no_run_is_refused_before_anything_is_written(make_run, tmp_path):
    with pytest.raises(UsageError, match="not a run directory"):
        build([make_run().path, tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_runs_give_the_same_bytes(make_run, tmp_path):
    run = make_run()
    for folder in ("a", "b"):
        build([run.path], tmp_path / folder)
    for path in (p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_a_link_out_of_a_run_is_not_shown(make_run, built, tmp_path):
    (tmp_path / "secret").write_text("TOPSECRET")
    run = make_run()
    for file in (run.config, run.curves, run.samples / "seed-1.json"):
        file.unlink(missing_ok=True)
        file.symlink_to(tmp_path / "secret")
    _, pages = built(run)
    assert "TOPSECRET" not in pages["one"].text
    assert pages["one"].text.count("leads out of") == 3


def test_a_page_that_a_picture_would_be_is_none(make_run, built):
    run = make_run()
    evil = run.figures / "evil.html"
    evil.write_bytes((run.samples / "seed-0.png").read_bytes())
    entry = {"title": "f", "caption": "", "files": {"still": evil.name}, "animated": False}
    (run.figures / "figures.json").write_text(json.dumps({"figures": [entry]}))
    index, _ = built(run)
    assert not list(index.folder.rglob("evil.html"))


@pytest.mark.parametrize("key", ["training_seconds", "parameters", "finished"])
def test_a_run_that_stopped_before_its_first_step_is_shown(make_run, built, key):
    run = make_run()
    record = json.loads(run.record.read_text())
    record.pop(key, None)
    run.record.write_text(json.dumps(record | {"status": "interrupted"}))
    index, _ = built(run)
    assert "The run was interrupted" in index.text


SPOILT = {
    "spec of another shape": ("run.json", {"spec": {"name": "bits", "shape": "wide"}}),
    "versions that are none": ("run.json", {"sessions": [{"versions": "2.13"}]}),
    "a sample without a seed": ("samples/seed-0.json", {"seed": None}),
    "candidates unlike each other": (
        "run.json",
        {
            "selection": {
                "of": 2,
                "chosen": None,
                "candidates": [
                    {"values": {"a": 1, "b": 2}, "validation": 1e300},
                    {"values": {"a": 1, "c": 2}, "validation": 1.0},
                ],
            }
        },
    ),
}


@pytest.mark.parametrize(("file", "change"), SPOILT.values(), ids=SPOILT.keys())
def test_a_file_of_another_kind_is_named_and_the_rest_is_written(make_run, built, file, change):
    run, other = make_run("one"), make_run("other")
    path = run.path / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    _, pages = built(run, other)
    assert re.search("unreadable|cannot be used", pages["one"].text)
    assert "Imagined" in pages["other"].text


@pytest.mark.parametrize("value", ["nan", "inf", "1e301"])
def test_curves_that_can_be_drawn_on_no_axis_are_named(make_run, built, value):
    run = make_run()
    run.curves.write_text(f"stage,epoch,step,name,value\nfit,1,10,loss,1\nfit,1,20,loss,{value}\n")
    _, pages = built(run)
    assert f"metrics.csv is unreadable: {value}" in pages["one"].text


def test_what_nobody_has_foreseen_is_said_on_the_page_and_others_are_written(
    make_run, built, monkeypatch
):
    def broken(view, run):
        if run.path.name == "one":
            raise ZeroDivisionError("by chance")

    monkeypatch.setattr("genlab.gallery.view.read_pictures", broken)
    index, _ = built(make_run("one"), make_run("other"))
    assert "It cannot be shown (ZeroDivisionError: by chance)." in index.text
    assert "Imagined" in index.text


@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_is_never_replaced_by_its_page(make_run, tmp_path, damaged):
    runs = [make_run(name).path for name in "ab"]
    if damaged:
        (runs[0] / "run.json").write_text("{")
    before = (runs[0] / "run.json").read_bytes()
    with pytest.raises(UsageError, match="is a run, which no page takes the place of"):
        build(runs, tmp_path / "runs", overwrite=True)
    assert (runs[0] / "run.json").read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["a", "b"]


def test_in_a_gallery_what_genlab_did_not_write_is_replaced_only_if_asked(make_run, tmp_path):
    out, run = tmp_path / "out", make_run().path
    build([run], out)
    (out / "README.md").write_text("mine")
    with pytest.raises(UsageError, match=r"README\.md was not written by genlab gallery"):
        build([run], out, markdown=True)
    build([run], out)
    assert (out / "README.md").read_text() == "mine"
    build([run], out, markdown=True, overwrite=True)
    assert "Samples" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda out, away: (out / "one").symlink_to(away), "is no folder of this gallery's own"),
        (lambda out, away: (out / "one").write_text("mine"), "is no folder of this gallery's own"),
        (lambda out, away: (out / "index.html").mkdir(), "index.html is a folder"),
    ],
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_cannot_be_replaced_is_said_before_anything_is(
    make_run, tmp_path, spoil, says, overwrite
):
    out, run, other = tmp_path / "out", make_run("one").path, make_run("other").path
    build([other], out)
    away = tmp_path / "away"
    away.mkdir()
    (out / "index.html").unlink()
    spoil(out, away)
    before = sorted(p for p in out.rglob("*"))
    (out / MANIFEST).write_text(json.dumps({"files": ["other/index.html"]}))
    with pytest.raises(UsageError, match=says):
        build([run], out, overwrite=overwrite)
    assert sorted(p for p in out.rglob("*")) == before
    assert not any(away.iterdir())


def test_a_folder_in_the_list_and_a_link_for_the_staging_are_left_alone(make_run, tmp_path):
    out, run = tmp_path / "out", make_run().path
    build([run], out)
    listed = json.loads((out / MANIFEST).read_text())["files"]
    (out / MANIFEST).write_text(json.dumps({"files": ["one", *listed]}))
    (out / STAGING).symlink_to(tmp_path / "runs")
    build([run], out)
    assert (out / "one" / "index.html").is_file()
    assert (tmp_path / "runs" / "one" / "run.json").is_file()
    assert not (out / STAGING).exists()


def test_a_record_that_cannot_be_read_does_not_end_the_readme(make_run, tmp_path):
    good, bad = make_run("good"), make_run("bad")
    bad.record.write_text("{")
    site = build([good.path, bad.path], tmp_path / "out", markdown=True).parent
    assert "18.80" in (site / "README.md").read_text()
    bad.record.write_text(good.record.read_text())
    bad.config.unlink()
    site = build([good.path, bad.path], tmp_path / "out", markdown=True).parent
    assert "it has no config.yaml" in (site / "bad" / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "again"),
    [({"seed": 7, "label": None}, "--seed 7"), ({"seed": 0, "label": 3}, "--seed 0 --label 3")],
)
def test_what_is_known_of_other_samples_is_not_said_of_those_shown(make_run, built, words, again):
    run = make_run()
    path = run.samples / "seed-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | words))
    _, pages = built(run)
    html = (pages["one"].folder / "index.html").read_text()
    assert "log p = " not in html
    assert "nearest training datum: " not in html
    assert f'data-command="genlab sample RUN --n {{n}} {again}"' in html


def test_pictures_do_not_tell_of_the_folder_they_were_made_in():
    words = ["model=made", "folder=/home/me/runs"]
    assert about_run({"overrides": words}, 0) == about_run({"overrides": ["model=made"]}, 0)


def test_a_page_keeps_no_folder_of_its_run(make_run, built):
    run = make_run()
    config = run.config.read_text()
    for folder in ("folder: /home/me/runs\n", 'folder: "/home/me\n  and/you"\n'):
        run.config.write_text(folder + config)
        _, pages = built(run)
        assert (pages["one"].folder / "config.yaml").read_text() == config


def test_numbers_have_their_bits_and_the_smallest_seed_stands_for_the_run(make_run, built):
    run = make_run()
    x = torch.zeros(4, 1, 8, 8)
    write_samples(run.samples, x, SPEC, seed=3, command="c")
    _, pages = built(run)
    text = pages["one"].text
    assert f"18.80 ± 0.20 nats = {18.8 / 44.4:.3f} bits/dim" in text
    assert f"25.20 nats = {25.2 / 44.4:.3f} bits/dim" in text
    assert "Samples : 64 draws, seed 0, not selected." in text


def test_the_order_by_score_puts_together_what_may_be_compared(make_run, make_score, built):
    def estimate(mean: float, name: str):
        return make_score(SPEC, mean, guarantee="estimate") | {"likelihood": {"name": name}}

    scores = {
        "window-bad": estimate(-30.0, "window"),
        "ais-bad": estimate(-21.0, "ais"),
        "window-good": estimate(-10.0, "window"),
        "ais-good": estimate(-20.0, "ais"),
        "exact": make_score(SPEC, -40.0),
    }
    index, _ = built(*(make_run(name, scores=(score,)) for name, score in scores.items()))
    html = (index.folder / "index.html").read_text()
    ranks = dict(re.findall(r'id="run-([\w-]+)".*?data-rank="(\d+)"', html, re.S))
    ordered = ["exact", "ais-good", "ais-bad", "window-good", "window-bad"]
    assert sorted(ranks, key=lambda name: int(ranks[name])) == ordered
    assert "NLL ≈ 10.00" in index.text


def test_a_run_without_a_test_score_is_not_said_to_be_untrusted(make_run, make_score, built):
    score = make_score(SPEC)
    score["data"]["split"] = "val"
    index, _ = built(make_run(scores=(score,)))
    assert "No test score." in index.text


@pytest.mark.parametrize(("p", "can"), [(1e-5, "can"), (0.5, "cannot")])
def test_the_classifiers_verdict_follows_its_p_value(p, can):
    row = {("c2st", "{}", "accuracy"): 0.6, ("c2st", "{}", "p_value"): p}
    assert f"A classifier {can} tell samples from data: it is right in 60.0 %" in verdict(row)
