"""An export: the same numbers from a folder without code, and what is refused of a stranger's."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import genlab
from genlab.cli.main import main
from genlab.contracts import UsageError
from genlab.sums import LIST, file_digest, files_of
from genlab.verify import State, verify

SMALL = ["stages.fit.max_epochs=2", "model.hidden=[8]", "stages.fit.ema=0.9"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", *SMALL, f"folder={folder}"]) == 0
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def original(trained, tmp_path_factory) -> Path:
    return genlab.open(trained).export(tmp_path_factory.mktemp("exports") / "made-digits")


@pytest.fixture
def exported(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "made-digits"))


def sign(folder: Path) -> None:
    """New checksums, as whoever means harm would write them."""
    lines = [f"{file_digest(folder / name)}  {name}\n" for name in files_of(folder)]
    (folder / LIST).write_text("".join(lines))


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    sign(path.parent)


def by_split(scores: list[dict]) -> dict:
    return {score["data"]["split"]: score["nats"] for score in scores}


def refused(capsys, *words: str | Path, code: int = 2) -> str:
    assert main([str(word) for word in words]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_it_draws_and_scores_what_the_run_does(trained, original):
    run, export = genlab.open(trained), genlab.open(original)
    assert torch.equal(run.sample(70, seed=3), export.sample(70, seed=3))
    ours, theirs = (each.evaluate("test") for each in (run, export))
    assert ours["nats"] == theirs["nats"]
    assert ours["checkpoint"] == theirs["checkpoint"]
    assert by_split(export.scores) == by_split(run.scores)


def test_the_weights_are_those_that_evaluation_uses(trained, original):
    """Averages, where training averaged."""
    run = genlab.open(trained)
    assert run.scores[0]["checkpoint"]["weights"] == "ema"
    state = load_file(original / "model.safetensors")
    assert state.keys() == run.model.state_dict().keys()
    assert all(torch.equal(state[k], v) for k, v in run.model.state_dict().items())


def test_nothing_changes_it(original, tmp_path, monkeypatch, capsys):
    before = {name: file_digest(original / name) for name in files_of(original)}
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(original), "--split", "val"]) == 0
    assert main(["evaluate", str(original), "-o", "kept"]) == 0
    assert main(["sample", str(original), "--n", "2", "-o", "drawn"]) == 0
    assert main(["compare", str(original)]) == main(["info", str(original)]) == 0
    assert main(["gallery", str(original), "-o", "pages"]) == 0
    capsys.readouterr()
    assert "say where with -o DIR" in refused(capsys, "sample", original)
    assert "no training goes on with" in refused(capsys, "train", *SMALL, "--resume", original)
    assert "an export already" in refused(capsys, "export", original, "-o", "again")
    assert {name: file_digest(original / name) for name in files_of(original)} == before
    assert list((tmp_path / "kept/scores").glob("test-*.json"))
    assert verify(original).whole


def test_it_says_nothing_of_the_machine(trained, original):
    host = json.loads((trained / "run.json").read_text())["sessions"][0]["host"]
    for name in files_of(original):
        content = (original / name).read_bytes()
        assert str(trained.parent).encode() not in content, name
        assert f'"{host}"'.encode() not in content, name


def test_the_card(original):
    text = (original / "README.md").read_text()
    for part in (
        "# MADE: digits",
        "NLL (nats)",
        "±",
        "Exact:",
        "arxiv.org/abs/1502.03509",
        "genlab.open",
    ):
        assert part in text
    assert "averages" in text
    assert "![Samples of the model](samples/seed-0.png)" in text


def test_checksums_are_those_of_sha256sum(original):
    for line in (original / LIST).read_text().splitlines():
        digest, name = line.split("  ")
        assert file_digest(original / name) == digest
    assert len((original / LIST).read_text().splitlines()) == len(files_of(original))


def test_a_folder_that_is_there_is_refused(trained, tmp_path, capsys):
    assert "is there already" in refused(capsys, "export", trained, "-o", tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "is there already" in refused(capsys, "export", trained, "-o", tmp_path / "link")


def test_it_is_whole_or_not_there(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("genlab.api.export.card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        genlab.open(trained).export(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_has_not_completed(trained, tmp_path, capsys):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    assert "has not completed (interrupted)" in refused(capsys, "export", run, "-o", tmp_path / "x")


# ------------------------------------------------------------------------- what a stranger may have done


@pytest.mark.parametrize("name", ["model.safetensors", "run.json", "config.json"])
def test_one_byte_is_altered(exported, capsys, name, tmp_path):
    content = bytearray((exported / name).read_bytes())
    content[len(content) // 2] ^= 1
    (exported / name).write_bytes(content)
    assert "was altered" in refused(capsys, "sample", exported, "-o", tmp_path / "drawn")
    assert main(["verify", str(exported)]) == 2
    assert f"{name} altered" in capsys.readouterr().out


def test_a_line_of_the_checksums_is_gone(exported, capsys, tmp_path):
    lines = (exported / LIST).read_text().splitlines()
    (exported / LIST).write_text("\n".join(x for x in lines if "safetensors" not in x) + "\n")
    assert f"is not in {LIST}" in refused(capsys, "sample", exported, "-o", tmp_path / "drawn")
    assert main(["verify", str(exported)]) == 2
    assert "model.safetensors extra" in capsys.readouterr().out
    (exported / LIST).unlink()
    assert LIST in refused(capsys, "info", exported)
    assert main(["verify", str(exported)]) == 2


def test_files_that_are_missing_or_extra(exported):
    (exported / "README.md").unlink()
    (exported / "more").write_text("x")
    found = {f.name: f.state for f in verify(exported).findings if f.state is not State.VERIFIED}
    assert found == {"README.md": State.MISSING, "more": State.EXTRA}


@pytest.mark.parametrize("line", ["x", "0" * 64 + "  ../../etc/passwd", "0" * 64 + " a"])
def test_checksums_that_are_none(exported, capsys, line):
    with (exported / LIST).open("a") as file:
        file.write(line + "\n")
    said = refused(capsys, "verify", exported)
    assert "expected a sha256" in said or "leads out of" in said


@pytest.mark.parametrize(
    "target", ["os.system", "genlab.runs.write_text", "genlab.data.write_shards"]
)
@pytest.mark.parametrize("key", ["model", "likelihood", "trainer", "data"])
def test_a_target_that_is_no_component(exported, capsys, tmp_path, key, target):
    canary = tmp_path / "ran"
    node = {
        "_target_": target,
        "command": f"touch {canary}",
        "path": str(canary),
        "folder": str(canary),
    }
    edit(exported / "config.json", lambda config: config.update({key: node}))
    assert "is not a component" in refused(capsys, "evaluate", exported)
    assert not canary.exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero", "../.."])
def test_a_link_that_leads_out(exported, capsys, tmp_path, target):
    (exported / "scores" / "link.json").symlink_to(target)
    assert "leads out of" in refused(capsys, "sample", exported, "-o", tmp_path / "drawn")
    assert main(["verify", str(exported)]) == 2


def test_a_folder_for_results_that_leads_out(trained, capsys, tmp_path):
    """A run's samples are written into it, and not elsewhere."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    shutil.rmtree(run / "samples")
    (tmp_path / "mine").mkdir()
    (run / "samples").symlink_to(tmp_path / "mine")
    assert "leads out of" in refused(capsys, "sample", run)
    assert not list((tmp_path / "mine").iterdir())


def test_a_pipe_in_the_place_of_a_file(exported, capsys, tmp_path):
    (exported / "config.json").unlink()
    os.mkfifo(exported / "config.json")
    assert "has no config.json" in refused(capsys, "sample", exported, "-o", tmp_path / "drawn")


def test_weights_of_another_model(exported, capsys, tmp_path):
    save_file({"w": torch.zeros(3)}, exported / "model.safetensors")
    sign(exported)
    assert "of another model" in refused(capsys, "sample", exported, "-o", tmp_path / "drawn")


def test_weights_that_are_no_safetensors(exported, capsys, tmp_path):
    torch.save({"w": torch.zeros(3)}, exported / "model.safetensors")
    sign(exported)
    assert "not a readable safetensors" in refused(capsys, "sample", exported, "-o", tmp_path / "x")


def test_a_model_that_would_not_fit(exported, capsys, tmp_path):
    edit(exported / "config.json", lambda config: config["model"].update(hidden=[10**6, 10**6]))
    assert "GiB" in refused(capsys, "sample", exported, "-o", tmp_path / "drawn")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stages", ["../../x"]),
        ("stages", 3),
        ("spec", {"shape": [8]}),
        ("seed", "a"),
        ("overrides", [3]),
        ("status", None),
    ],
)
def test_a_record_of_other_types(exported, capsys, key, value):
    edit(exported / "run.json", lambda record: record.update({key: value}))
    assert "run.json" in refused(capsys, "evaluate", exported)


def test_names_are_no_commands_for_a_terminal(exported, capsys):
    edit(exported / "run.json", lambda record: record["spec"].update(name="\x1b]0;x\x07<b>"))
    assert main(["info", str(exported)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_opening_keeps_results_where_they_are_wanted(original, tmp_path):
    run = genlab.open(original, results=tmp_path / "kept")
    assert run.evaluate("val") is not None
    assert list((tmp_path / "kept/scores").glob("val-*.npz"))


def test_only_whole_runs_are_opened(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 1}')
    (tmp_path / "config.yaml").write_text("{}")
    with pytest.raises(UsageError, match="there is no status in it"):
        genlab.open(tmp_path)
