"""Comparing folders with what is recorded of them. Exports are in ``api/test_export.py``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from genlab.cli.main import main
from genlab.errors import UsageError
from genlab.verify import State, verify

QUICK = ["stages.fit.max_epochs=1", "model.hidden=[8]", "evaluate=[test]", "gallery=false"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", *QUICK, f"folder={folder}"]) == 0
    return next(folder.iterdir())


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "digits"
    assert main(["data", "shard", "data=digits", "--rows", "700", "-o", str(folder)]) == 0
    return folder


@pytest.fixture
def shards(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "shards"))


def wrong(path: Path) -> dict[str, State]:
    good = (State.VERIFIED, State.UNCHECKED)
    return {f.name: f.state for f in verify(path).findings if f.state not in good}


def alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_run(run):
    found = verify(run)
    assert (found.kind, found.whole) == ("run", True)
    states = {f.name: f.state for f in found.findings}
    assert states["checkpoints/fit/best.ckpt"] is State.VERIFIED
    assert states["config.yaml"] is State.VERIFIED
    assert states["metrics.csv"] is State.UNCHECKED
    assert [s for n, s in states.items() if n.endswith("json") and "scores" in n] == [
        State.VERIFIED
    ]


def test_a_checkpoint_of_a_run(run):
    alter(run / "checkpoints/fit/last.ckpt")
    (run / "checkpoints/fit/best.ckpt").unlink()
    assert wrong(run) == {
        "checkpoints/fit/last.ckpt": State.ALTERED,
        "checkpoints/fit/best.ckpt": State.MISSING,
    }


def test_settings_of_a_run(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["hidden"] = [9]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert wrong(run) == {"config.yaml": State.ALTERED}


@pytest.mark.parametrize(
    "change",
    [
        lambda score: score["likelihood"].update(seed=9),
        lambda score: score["checkpoint"].update(sha256="0" * 64),
        lambda score: score.pop("checkpoint"),
    ],
    ids=["other settings", "other weights", "no weights"],
)
def test_a_score_of_a_run(run, change):
    (path,) = (run / "scores").glob("*.json")
    score = json.loads(path.read_text())
    change(score)
    path.write_text(json.dumps(score))
    assert wrong(run) == {f"scores/{path.name}": State.ALTERED}


def test_shards(shards):
    assert verify(shards).whole
    alter(shards / "train-x-00000.npy")
    (shards / "val-label-00000.npy").unlink()
    (shards / "more.npy").write_bytes(b"")
    assert wrong(shards) == {
        "train-x-00000.npy": State.ALTERED,
        "val-label-00000.npy": State.MISSING,
        "more.npy": State.EXTRA,
    }


def test_data(tmp_path):
    file = tmp_path / "debd/nltcs.npz"
    file.parent.mkdir()
    file.write_bytes(b"x")
    assert wrong(tmp_path) == {"debd/nltcs.npz": State.ALTERED}


def test_a_folder_with_a_list_of_its_own(tmp_path):
    (tmp_path / "a").write_text("a\n")
    (tmp_path / "b").write_text("b\n")
    digest = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"  # of "a\n"
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  a\n")
    assert verify(tmp_path).whole, "it need not list everything"
    (tmp_path / "a").write_text("c\n")
    assert wrong(tmp_path) == {"a": State.ALTERED}


def test_other_folders(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            verify(path)


def test_the_verb(run, capsys):
    assert main(["verify", str(run)]) == 0
    assert ": run, whole: " in capsys.readouterr().out
    alter(run / "checkpoints/fit/last.ckpt")
    assert main(["verify", str(run)]) == 2
    out = capsys.readouterr().out
    assert "checkpoints/fit/last.ckpt altered" in out
    assert "NOT WHOLE" in out
    assert main(["verify", str(run), "--json"]) == 2
    (found,) = json.loads(capsys.readouterr().out)
    assert not found["whole"]
    assert {"name": "checkpoints/fit/last.ckpt", "state": "altered", "why": ""} in found["findings"]
