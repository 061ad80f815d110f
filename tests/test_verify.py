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
    found = states(run)
    assert found["checkpoints/fit/best.ckpt"] is State.VERIFIED
    assert found["config.yaml"] is State.VERIFIED
    assert found["metrics.csv"] is State.UNCHECKED
    assert [s for n, s in found.items() if n.startswith("scores/")] == [State.VERIFIED] * 2


def test_a_checkpoint_of_a_run(run):
    alter(run / "checkpoints/fit/last.ckpt")
    (run / "checkpoints/fit/best.ckpt").unlink()
    assert wrong(run) == {
        "checkpoints/fit/last.ckpt": State.ALTERED,
        "checkpoints/fit/best.ckpt": State.MISSING,
    }


def test_a_checkpoint_without_its_checksum(run):
    (run / "checkpoints/fit/best.ckpt.sha256").unlink()
    assert wrong(run) == {"checkpoints/fit/best.ckpt": State.ALTERED}


def test_settings_of_a_run(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["hidden"] = [9]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert wrong(run) == {"config.yaml": State.ALTERED}


def score_of(run: Path) -> Path:
    (path,) = (run / "scores").glob("*.json")
    return path


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def states(path: Path) -> dict[str, State]:
    return {f.name: f.state for f in verify(path).findings}


@pytest.mark.parametrize(
    "change",
    [
        lambda score: score["likelihood"].update(seed=9),
        lambda score: score["checkpoint"].update(sha256="0" * 64),
        lambda score: score.pop("checkpoint"),
        lambda score: score["nats"].update(mean=score["nats"]["mean"] + 1e-3),
        lambda score: score["nats"].update(mean="1"),
        lambda score: score["nats"].update(mean=10**400),
        lambda score: score["nats"].update(mean=None),
        lambda score: score["nats"].update(stderr=score["nats"]["stderr"] / 2),
        lambda score: score["nats"].update(stderr=None),
        lambda score: score.update(bits_per_dim=0.1),
        lambda score: score["data"].update(n=10),
        lambda score: score.update(nats=[]),
    ],
    ids=[
        *("other settings", "other weights", "no weights"),
        *("another mean", "a mean in words", "a mean beyond floats", "no mean"),
        *("another error", "no error", "other bits", "other data", "no numbers"),
    ],
)
def test_a_score_of_a_run(run, change):
    edit(score_of(run), change)
    assert wrong(run) == {f"scores/{score_of(run).name}": State.ALTERED}


def test_a_score_that_another_machine_adds_up_otherwise(run):
    edit(
        score_of(run), lambda score: score["nats"].update(mean=score["nats"]["mean"] * (1 + 1e-13))
    )
    assert verify(run).whole


def test_values_of_a_score(run):
    values = score_of(run).with_suffix(".npz")
    name = f"scores/{values.name}"
    assert states(run)[name] is State.VERIFIED
    alter(values)
    assert wrong(run) == {name: State.ALTERED}
    assert states(run)[f"scores/{score_of(run).name}"] is State.UNCHECKED
    values.unlink()
    assert wrong(run) == {name: State.MISSING}
    values.symlink_to("/dev/zero")
    assert list(wrong(run).values()) == [State.ALTERED]


def test_a_score_that_was_written_before_sums_were(run):
    edit(score_of(run), lambda score: score.pop("npz_sha256"))
    assert verify(run).whole
    for suffix in (".json", ".npz"):
        assert states(run)[f"scores/{score_of(run).with_suffix(suffix).name}"] is State.UNCHECKED


def test_a_page_has_no_values_to_compare(run, tmp_path):
    assert main(["gallery", str(run), "-o", str(tmp_path / "site")]) == 0
    page = tmp_path / "site" / run.name
    assert not list(page.rglob("scores/*.npz"))
    assert verify(page).whole
    assert states(page)[f"scores/{score_of(run).name}"] is State.UNCHECKED


@pytest.fixture(scope="module")
def answering(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("answering")
    words = ["model._target_=tests.testing.honest.NoisyPosterior", "--allow-target=tests."]
    words += ["model=independent", "data=digits", "optimizer=adam", "stages.fit.max_epochs=1"]
    assert main(["train", *words, "evaluate=[test]", "gallery=false", f"folder={folder}"]) == 0
    return next(folder.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["nll"].update(mean=values["nll"]["mean"] + 1e-3),
        lambda values: values["nll"].update(stderr=0.0),
        lambda values: values.pop("nll"),
    ],
    ids=["another mean", "another error", "a value that is gone"],
)
def test_answers_of_a_run(answering, tmp_path, change):
    run = Path(shutil.copytree(answering, tmp_path / "run"))
    (path,) = (p for p in (run / "metrics").glob("*.json") if p.with_suffix(".npz").is_file())
    assert states(run)[f"metrics/{path.name}"] is State.VERIFIED
    edit(path, lambda answers: change(answers["values"]))
    assert wrong(run) == {f"metrics/{path.name}": State.ALTERED}


def test_sample_quality_has_no_values_that_show_it(trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    assert main(["evaluate", str(run), "metric=mmd", "samples=100"]) == 0
    (path,) = (run / "metrics").glob("*.json")
    assert states(run)[f"metrics/{path.name}"] is State.UNCHECKED
    edit(path, lambda quality: quality["samples"].update(n=1))
    assert wrong(run) == {f"metrics/{path.name}": State.ALTERED}


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
