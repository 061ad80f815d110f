"""Which rows are compared, and what a run writes down and says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import genlab
from genlab import memory
from genlab.cli.main import main
from genlab.contracts import GenlabError, UsageError
from genlab.data import npz, toy2d
from genlab.gallery import quality
from genlab.metrics import Frechet, Memorisation, PrecisionRecall, features, measure
from genlab.metrics.base import SampleMetric, spread
from genlab.metrics.measuring import how_many

QUICK = ["model.hidden=[20]", "stages.fit.max_epochs=1", "gallery=false"]


class Seen(SampleMetric):
    """Notes what it is given."""

    name, space, shown, needs_train = "seen", "data", (), True
    train: torch.Tensor

    def prepare(self, train: torch.Tensor) -> None:
        self.train = train

    def between(self, samples, real):
        sets = {"train": self.train, "samples": samples, "real": real}
        self.history = [*getattr(self, "history", []), sets]
        return {}


def test_a_space_that_is_none_is_refused_where_it_is_written():
    with pytest.raises(UsageError, match=r"Raw.space='raw': choose features or data"):
        type("Raw", (SampleMetric,), {"space": "raw"})


def rows_of(x: torch.Tensor) -> list[float]:
    return x.flatten().sort().values.tolist()


@pytest.fixture
def numbers(tmp_path):
    """A data set whose rows are numbers of their own."""
    x = np.arange(150, dtype=np.float32)[:, None]
    np.savez(tmp_path / "n.npz", train=x[:100], val=x[100:120], test=x[120:])
    return npz(str(tmp_path / "n.npz"))


def test_rows_are_disjoint_and_as_many(numbers):
    metric = Seen()
    list(measure([metric], torch.full((20, 1), 9.0), numbers, "test"))
    values, reference = metric.history
    train = numbers.dataset("train")[torch.arange(100)].x
    assert rows_of(values["train"]) == rows_of(train)
    assert values["samples"].tolist() == [[9.0]] * 20
    assert len(reference["samples"]) == len(reference["real"]) == 20
    both = torch.cat([reference["samples"], reference["train"]])
    assert rows_of(both) == rows_of(train), "training data come once, as samples or as the others"
    assert torch.equal(values["real"], reference["real"])


def test_of_too_many_training_data_a_share_is_held(numbers, monkeypatch):
    """Spread evenly; and all of them where they are few."""
    assert memory.held(10**10, 784).tolist()[:2] == [0, 29206]
    assert torch.equal(memory.held(300, 784), torch.arange(300))
    whole, share = Seen(), Seen()
    samples = numbers.dataset("train")[torch.arange(20)].x
    list(measure([whole], samples, numbers, "test"))
    monkeypatch.setattr(memory, "HELD", 50 * numbers.spec.size)
    list(measure([share], samples, numbers, "test"))
    n = len(numbers.dataset("train"))
    assert [len(seen["train"]) for seen in whole.history] == [n, n - 20]
    held, others = (len(seen["train"]) for seen in share.history)
    assert held - others == 20
    assert 30 <= others <= 50
    assert torch.equal(whole.history[1]["samples"], share.history[1]["samples"])


def test_rows_are_spread_over_a_split():
    assert spread(4, 10).tolist() == [0, 2, 5, 7]
    assert spread(10, 10).tolist() == list(range(10))


def test_number_of_samples(numbers):
    assert how_many(numbers, "test", None, []) == 30
    assert how_many(numbers, "test", 7, []) == 7
    assert how_many(toy2d("moons", n=100), "test", None, []) == 20


@pytest.mark.parametrize(
    ("split", "n", "metrics", "says"),
    [
        ("test", 31, [], "samples=31: the test split has 30 data and training 100: at most 30"),
        ("test", 3, [PrecisionRecall()], "samples=3: metric=precision_recall needs at least 4"),
        ("test", 0, [Frechet()], "needs at least 2"),
        ("train", 10, [], "choose the split val or test"),
    ],
)
def test_numbers_that_cannot_be(numbers, split, n, metrics, says):
    with pytest.raises(UsageError, match=says):
        how_many(numbers, split, n, metrics)


def test_samples_outside_the_support_are_counted(numbers):
    x = torch.zeros(20, 1)
    x[4] = x[9] = torch.nan
    with pytest.raises(GenlabError, match=r"2 of 20 samples .* the first is sample 4"):
        list(measure([Frechet()], x, numbers, "test"))


def test_the_reference_of_one_distribution_is_like_its_value():
    data = toy2d("swiss_roll", n=2000)
    samples = toy2d("swiss_roll", n=2000, seed=1).dataset("test")[torch.arange(400)].x
    frechet, copies = measure([Frechet(), Memorisation()], samples, data, "test")
    assert frechet.values["distance"] < 0.05
    assert frechet.reference["distance"] < 0.05
    assert abs(copies.values["z"]) < 4
    assert abs(copies.reference["z"]) < 4
    assert (frechet.features.name, frechet.n) == ("raw", 400)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setattr(features, "STEPS", 20)
        run = genlab.train(*QUICK, "evaluate=[]", f"folder={tmp_path_factory.mktemp('runs')}")
        yield run.path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


ALL = (
    "birthday",
    "c2st",
    "density_coverage",
    "frechet",
    "kernel",
    "memorisation",
    "mmd",
    "precision_recall",
)


def test_every_metric_of_a_run(run, capsys):
    assert (
        main(["evaluate", str(run), "metric=all", "samples=60", "metric.mmd.permutations=99"]) == 0
    )
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == len(ALL)
    assert all("digits (threshold 8) test, n=60, features" in line for line in lines)
    assert not (run / "scores").exists(), "no likelihood was asked for"
    files = sorted((run / "metrics").iterdir())
    assert [f.name.split("-")[1] for f in files] == list(ALL)
    for file in files:
        found = json.loads(file.read_text())
        assert found["schema"] == 1
        assert found["values"].keys() == found["reference"]["values"].keys()
        assert set(found["metric"]["shown"]) <= found["values"].keys()
        assert found["samples"] == {"n": 60, "seed": 0, "block": 64}
        assert found["features"]["name"] == "raw" or found["features"]["name"].startswith("cnn64-")
        assert found["checkpoint"]["sha256"]


def test_numbers_can_be_had_again(run):
    chosen = {"c2st": {"_target_": "genlab.metrics.C2ST", "epochs": 2}}
    opened = genlab.open(run)
    (one,) = opened.measure(chosen, n=40)
    (same,) = genlab.open(run).measure(chosen, n=40)
    (other,) = opened.measure(chosen, n=40, seed=1)
    assert one["values"] == same["values"]
    assert one["values"] != other["values"]
    assert len(list((run / "metrics").iterdir())) == 2


def test_likelihood_and_metrics_together(run, capsys):
    assert main(["evaluate", str(run), "likelihood=exact", "metric=frechet", "samples=50"]) == 0
    assert "NLL" in capsys.readouterr().out
    assert len(list((run / "scores").glob("*.json"))) == 1
    assert main(["evaluate", str(run)]) == 0
    assert "frechet" not in capsys.readouterr().out


def test_a_run_can_be_measured_after_training(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(features, "STEPS", 20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = [*QUICK, "metric=density_coverage", "samples=40", f"folder={tmp_path / 'runs'}"]
    run = genlab.train(*words)
    names = sorted(f.name.split("-")[0] for f in run.directory.metrics.iterdir())
    assert names == ["test", "val"]
    plain = genlab.open(trained)
    assert run.record["fingerprint"] == plain.record["fingerprint"], "they decide no weights"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["metric=frechett"], "did you mean 'frechet'?"),
        (["metric=frechet", "metric.frechet.k=3"], "Frechet has no parameter 'k'"),
        (["metric=precision_recall", "metric.precision_recall.k=0"], "k=0 must be at least 1"),
        (["metric=frechet", "metric.frechet.seed=3"], "has no parameter 'seed'"),
        (["metric=frechet", "samples=298"], "the test split has 297 data"),
        (["metric=frechet", "samples=many"], "samples=many: expected a whole number"),
        (["metric=all", "samples=5"], "needs at least"),
        (["samples=50"], "samples=… is for metric=…"),
        (["metric=frechet", "--split", "train"], "choose the split val or test"),
        (["metric=frechet", "metric.own._target_=torch.nn.ReLU"], "no SampleMetric"),
        (["metric=frechet", "metric.kernel.degree=3"], "kernel is not among the metrics asked for"),
        (["metric=frechet", "metric.own=3"], "own is not among the metrics asked for (frechet)"),
        (["metric=frechet", "metric.own._target_=os.system"], "is not a component"),
    ],
)
def test_bad_words(run, capsys, words, says):
    assert main(["evaluate", str(run), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert says in lines[0]
    assert not (run / "metrics").exists()


def test_training_refuses_bad_metrics_before_it_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "metric=c2st", "metric.c2st.epochs=0"]) == 2
    assert main(["train", "metric=c2st", "samples=few"]) == 2
    assert main(["train", "metric=c2st", "samples=250"]) == 2
    assert "the val split has 200 data" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_compare_shows_sample_quality_with_its_reference(run, capsys):
    assert main(["evaluate", str(run), "metric=all", "samples=60"]) == 0
    capsys.readouterr()
    assert main(["compare", str(run)]) == 0
    text = capsys.readouterr().out
    assert "Sample quality: digits (threshold 8), test, n=60; features cnn64-" in text
    assert "features raw" in text
    assert text.index("training data") < text.index("run  ", text.index("training data"))
    sections, problems = quality.compare([run])
    assert not problems
    (cnn, raw) = sections
    assert [name for name, _ in cnn.named] == ["training data", "run"]
    assert [cnn.heading(c) for c in cnn.columns][:3] == ["Fréchet ↓", "kernel ↓", "precision ↑"]
    assert [raw.heading(c) for c in raw.columns][-1] == "share of copies"


def test_other_numbers_of_samples_are_another_table(run):
    opened = genlab.open(run)
    node = {"pr": {"_target_": "genlab.metrics.PrecisionRecall"}}
    for n in (40, 50):
        opened.measure(node, n=n)
    opened.measure({"pr": node["pr"] | {"k": 7}}, n=50)
    small, large = quality.compare([run])[0]
    assert (small.n, large.n) == (40, 50)
    assert len(small.columns) == 2
    assert large.heading(large.columns[0]) == "precision ↑ k=3"


def test_a_damaged_file_is_named(run):
    genlab.open(run).measure({"f": {"_target_": "genlab.metrics.Frechet"}}, n=40)
    (file,) = (run / "metrics").iterdir()
    file.write_text('{"schema": 1}')
    sections, (problem,) = quality.compare([run])
    assert not sections
    assert "is unreadable: TypeError: there is no" in problem


def test_other_processes_leave_it_to_the_first(run, monkeypatch):
    monkeypatch.setenv("GENLAB_RANK", "1")
    assert genlab.open(run).measure({"f": {"_target_": "genlab.metrics.Frechet"}}, n=40) == []
    assert not (run / "metrics").exists()


def test_numbers_that_are_not_finite_are_none(run, monkeypatch):
    monkeypatch.setattr(Frechet, "between", lambda *sets: {"distance": float("nan")})
    (found,) = genlab.open(run).measure({"f": {"_target_": "genlab.metrics.Frechet"}}, n=40)
    assert found["values"] == {"distance": None}
    assert main(["compare", str(run)]) == 0, "a dash in the table"


def test_runs_of_one_name_and_of_the_references_have_rows_of_their_own(run, tmp_path):
    genlab.open(run).measure({"f": {"_target_": "genlab.metrics.Frechet"}}, n=40)
    copies = [
        tmp_path / where / name for where, name in (("x", "a"), ("y", "a"), ("z", "training data"))
    ]
    for value, copy in enumerate(copies):
        shutil.copytree(run, copy)
        (file,) = (copy / "metrics").iterdir()
        content = json.loads(file.read_text())
        content["values"]["distance"] = float(value)
        file.write_text(json.dumps(content))
    ((section,), _) = quality.compare(copies)
    assert [name for name, _ in section.named] == ["training data", "a", "a", "training data"]
    assert [next(iter(row.values())) for row in section.rows.values()] == [0.0, 1.0, 2.0]
    assert next(iter(section.reference.values())) > 0
