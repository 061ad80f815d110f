"""A classifier that is no generative model, through the whole path; and one that is, beside it."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch

import genlab
from genlab.cli.main import main
from genlab.contracts import GenerativeModel, UsageError
from genlab.training import load_checkpoint

ALLOW = ["--allow-target", "tests.testing."]
SOFTMAX = ["model=independent", "model._target_=tests.testing.honest.Softmax", "data=digits_binary"]
BAYES = [*SOFTMAX[:1], "model._target_=tests.testing.honest.NaiveBayes", SOFTMAX[2]]
QUICK = ["stages.fit.max_epochs=3", "optimizer=adam", "optimizer.lr=0.02"]


def printed(capsys, *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("softmax", "bayes", "pca")}
    for name, words in {
        "softmax": [*SOFTMAX, *QUICK],
        "bayes": [*BAYES, "gallery=false"],
        "pca": ["model=pca", "data=digits", "model.components=10", "name=ten"],
    }.items():
        assert main(["train", *words, f"folder={folders[name]}", *ALLOW]) == 0
    return {name: next(folder.iterdir()) for name, folder in folders.items()}


@pytest.fixture
def softmax(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained["softmax"], tmp_path / "run"))


def test_training_leaves_numbers_of_both_splits_and_no_likelihood(trained):
    run = trained["softmax"]
    assert not (run / "scores").exists()
    assert not (run / "samples").exists()
    names = sorted(file.name.rpartition("-")[0] for file in (run / "metrics").glob("*.json"))
    assert names == ["test-classification", "val-classification"]
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["generative"]) == ("completed", False)


def test_what_is_printed_says_error_and_floor(trained, capsys):
    out = printed(capsys, "info", str(trained["softmax"]))
    assert "test, n=297: error " in out
    assert " % (" in out
    assert "in brackets: always label " in out
    assert "NLL" not in out
    out = printed(capsys, "info", str(trained["pca"]))
    assert "squared error per datum (" in out
    assert "code size: 10" in out


def test_a_run_opens_and_asks_again(softmax, capsys):
    opened = genlab.open(softmax)
    assert not opened.generative
    assert not isinstance(opened.model, GenerativeModel)
    before = {a["data"]["split"]: a["values"] for a in opened.answers}
    assert before.keys() == {"val", "test"}
    out = printed(capsys, "evaluate", str(softmax), "--split", "test", "--json")
    (again,) = json.loads(out)
    assert again["values"] == before["test"]
    (train,) = json.loads(printed(capsys, "evaluate", str(softmax), "--split", "train", "--json"))
    assert train["data"]["n"] == 1300


def test_a_generative_model_that_tells_labels_has_both(trained, capsys):
    run = trained["bayes"]
    assert len(list((run / "scores").glob("*.json"))) == 2
    assert len(genlab.open(run).answers) == 2
    out = printed(capsys, "evaluate", str(run), "--split", "val")
    assert "NLL" in out
    assert "error" in out
    assert "NLL" not in printed(capsys, "evaluate", str(run), "metric=classification")
    assert "error" not in printed(capsys, "evaluate", str(run), "likelihood=exact")


def test_the_error_of_naive_bayes_is_that_of_scikit_learn(trained):
    from sklearn.naive_bayes import BernoulliNB

    run = genlab.open(trained["bayes"])
    rows = {
        s: run.data.dataset(s)[torch.arange(len(run.data.dataset(s)))] for s in ("train", "test")
    }
    train, test = rows["train"], rows["test"]
    reference = BernoulliNB(alpha=0.5).fit(train.x.flatten(1), train.label)
    error = 1 - reference.score(test.x.flatten(1), test.label)
    found = next(a for a in run.answers if a["data"]["split"] == "test")
    assert found["values"]["error"]["mean"] == pytest.approx(error, abs=1 / 297 + 1e-9)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            [*SOFTMAX, "likelihood=window"],
            "Softmax is no generative model, so that it has no likelih",
        ),
        ([*SOFTMAX, "likelihood=auto"], "leave it out"),
        ([*SOFTMAX, "metric=frechet"], "metric=frechet needs samples, and Softmax draws none"),
        ([*SOFTMAX, "metric=reconstruction"], "an encoder and a decoder, and Softmax has none"),
        ([*SOFTMAX, "metric=classification", "metric.classification.k=3"], "no parameter 'k'"),
        (
            ["model=independent", "metric=classification"],
            "metric=classification needs a model that tells labels, and Independent does not",
        ),
        ([*SOFTMAX[:2], "data=nade_uci"], "Softmax tells labels; "),
        (["model=pca", "data=digits", "model.components=65"], "digits has 64 numbers in a datum"),
        (["model=pca", "data=digits_binary"], "PCA takes LEVELS or REAL data"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(words, says, tmp_path, capsys):
    error = printed(capsys, "train", *words, f"folder={tmp_path / 'runs'}", *ALLOW, code=2)
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sample", "RUN"], "Softmax is no generative model: it has no samples"),
        (["sample", "RUN", "--label", "3"], "Softmax is no generative model: it has no samples"),
        (
            ["evaluate", "RUN", "likelihood=window"],
            "Softmax is no generative model: it has no likelih",
        ),
        (["evaluate", "RUN", "likelihood=auto"], "it has no likelihood"),
        (
            ["evaluate", "RUN", "metric=frechet"],
            "metric=frechet needs samples, and Softmax draws none",
        ),
        (
            ["evaluate", "RUN", "metric=reconstruction"],
            "metric=reconstruction needs a model with an",
        ),
    ],
)
def test_what_a_run_does_not_have_is_refused(softmax, capsys, words, says):
    before = sorted(softmax.rglob("*"))
    words = [str(softmax) if word == "RUN" else word for word in words]
    error = printed(capsys, *words, code=2)
    assert says in error
    assert error.count("\n") == 1
    assert sorted(softmax.rglob("*")) == before


def test_every_metric_is_every_metric_that_it_can_have(softmax, trained, capsys):
    out = printed(capsys, "evaluate", str(softmax), "metric=all")
    assert len(out.strip().splitlines()) == 1
    out = printed(capsys, "evaluate", str(trained["pca"]), "metric=all", "--split", "val")
    assert "reconstruction" in out
    run = genlab.open(softmax)
    with pytest.raises(UsageError, match="metric=frechet needs samples"):
        run.measure({"frechet": {"_target_": "genlab.metrics.Frechet"}})


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    from genlab.targets import allow_targets
    from tests.testing import honest

    allow_targets(["tests.testing."])
    words = [*SOFTMAX, *QUICK, "gallery=false", "evaluate=[test]"]
    whole = genlab.train(*words, f"folder={tmp_path / 'whole'}")
    steps, loss = [], honest.Softmax.loss

    def killed(self, batch):
        steps.append(1)
        if len(steps) == 25:
            signal.raise_signal(signal.SIGINT)
        return loss(self, batch)

    monkeypatch.setattr(honest.Softmax, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        genlab.train(*words, f"folder={tmp_path / 'cut'}")
    monkeypatch.setattr(honest.Softmax, "loss", loss)
    resumed = genlab.train(*words, f"folder={tmp_path / 'cut'}", resume="auto")
    assert len(list((tmp_path / "cut").iterdir())) == 1
    a, b = (load_checkpoint(r.checkpoint)["state_dict"] for r in (whole, resumed))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert whole.answers[0]["values"] == resumed.answers[0]["values"]


def test_settings_are_chosen_on_validation_data(tmp_path):
    from genlab.targets import allow_targets

    allow_targets(["tests.testing."])
    chosen = genlab.train(
        *SOFTMAX,
        *QUICK,
        "select={data.batch_size: [1300, 100]}",
        f"folder={tmp_path}",
        "evaluate=[test]",
        "gallery=false",
    )
    assert chosen.record["selection"]["chosen"] == {"data.batch_size": 100}
    assert chosen.answers[0]["values"]["error"]["mean"] < 0.3


def test_models_of_different_kinds_stand_beside_each_other(trained, capsys):
    paths = [str(trained[name]) for name in ("softmax", "bayes", "pca")]
    out = printed(capsys, "compare", *paths, "--format", "md")
    table = out[out.index("Classification: digits") :]
    assert "always label" in table.splitlines()[4], "the floor comes first"
    assert "Reconstruction: digits (17 levels)" in out
    assert "code size" in out
    assert "| 10 |" in out
    for name in ("table", "html", "csv", "json"):
        printed(capsys, "compare", *paths, "--format", name)
    found = json.loads(printed(capsys, "compare", *paths, "--format", "json"))
    (group,) = (g for g in found["answers"] if g["metric"] == "classification")
    assert {row["model"] for row in group["rows"]} == {"Softmax", "NaiveBayes"}
    errors = [row["values"]["error"][0] for row in group["rows"]]
    assert errors == sorted(errors), "the best comes first"
    assert found["quality"] == []
    only = printed(capsys, "compare", paths[0])
    assert "no test scores" not in only
    assert "error (%)" in only


def test_pages_show_the_numbers_and_no_empty_places(trained, tmp_path, capsys):
    paths = [str(trained[name]) for name in ("softmax", "bayes", "pca")]
    printed(capsys, "gallery", *paths, "-o", str(tmp_path / "g"))
    index = (tmp_path / "g" / "index.html").read_text()
    assert "error " in index
    assert "squared error per datum" in index
    assert "No test score" not in index
    page = (tmp_path / "g" / trained["softmax"].name / "index.html").read_text()
    assert "It draws no samples" in page
    assert "Classification, test set" in page
    assert "Samples beside data" not in page
    assert "No score was computed" not in page
    both = (tmp_path / "g" / trained["bayes"].name / "index.html").read_text()
    assert "A generative model" in both
    assert "NLL" in both
    assert "Classification, test set" in both
    assert "components" in (tmp_path / "g" / trained["pca"].name / "index.html").read_text()


def test_a_broken_file_is_named_and_the_rest_is_shown(softmax, tmp_path, capsys):
    file = next((softmax / "metrics").glob("test-*.json"))
    content = json.loads(file.read_text())
    del content["floor"]
    file.write_text(json.dumps(content))
    assert main(["compare", str(softmax), "--split", "all"]) == 0
    out, err = capsys.readouterr()
    assert f"{file.name} is unreadable: TypeError: there is no floor" in err
    assert "val, n=200" in out
    assert "is unreadable" in printed(capsys, "info", str(softmax))
    printed(capsys, "gallery", str(softmax), "-o", str(tmp_path / "g"))
    assert "is unreadable" in (tmp_path / "g" / "run" / "index.html").read_text()
