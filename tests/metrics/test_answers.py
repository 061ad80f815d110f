"""What a model answers about each datum: numbers by hand, floors, and the same on two processes."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, zero_one_loss
from torch import Generator, Tensor, nn

import genlab
from genlab.cli.main import main
from genlab.contracts import (
    Batch,
    Classifies,
    DataModule,
    DataSpec,
    GenlabError,
    HasEncoder,
    Model,
    Support,
    UsageError,
)
from genlab.metrics import Answers, Classification, Frechet, Reconstruction
from genlab.models.independent import Independent
from genlab.targets import allow_targets
from genlab.training import TrainerSettings

BITS = DataSpec("bits", "made up", (2,), Support.BINARY, classes=3)
PLANE = DataSpec("plane", "made up", (2,), Support.REAL)
FORKED = TrainerSettings(accelerator="cpu", strategy="ddp_fork", devices=2)
ALONE = TrainerSettings(accelerator="cpu")


class Rows:
    def __init__(self, x: Tensor, label: Tensor | None) -> None:
        self.x, self.label = x, label

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor) -> Batch:
        return Batch(self.x[rows], None if self.label is None else self.label[rows], rows)


class Given(DataModule):
    def __init__(self, spec: DataSpec, **splits: tuple[Tensor, Tensor | None]) -> None:
        super().__init__()
        self._spec, self.splits = spec, splits

    @property
    def spec(self) -> DataSpec:
        return self._spec

    def dataset(self, split: str) -> Rows:
        return Rows(*self.splits[split])


class Table(Model, Classifies):
    """Its posterior is a table, whatever x is: (B, classes)."""

    def __init__(self, spec: DataSpec, p: Tensor) -> None:
        super().__init__(spec)
        self.p = p

    def loss(self, batch: Batch) -> Tensor:
        return torch.zeros(())

    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        return self.p.log()


class Halves(Model, HasEncoder):
    """Keeps the first half of a datum; the rest comes back as zero."""

    def loss(self, batch: Batch) -> Tensor:
        return torch.zeros(())

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, : self.spec.size // 2]

    def decode(self, z: Tensor) -> Tensor:
        return nn.functional.pad(z, (0, self.spec.size - z.shape[1])).unflatten(1, self.spec.shape)


def labels(*values: int) -> Tensor:
    return torch.tensor(values)


def asked(metric, batch: Batch) -> dict[str, Tensor]:
    return metric(batch, generator=torch.Generator())


def test_error_and_nll_are_those_of_scikit_learn():
    p = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)).double() + 0.01
    p /= p.sum(1, keepdim=True)
    y = torch.arange(40) % 3
    found = asked(Classification(Table(BITS, p)), Batch(torch.zeros(40, 2), y))
    assert float(found["error"].mean()) == pytest.approx(zero_one_loss(y, p.argmax(1)))
    assert float(found["nll"].mean()) == pytest.approx(log_loss(y, p))
    assert found["error"].shape == found["nll"].shape == (40,)


def test_a_posterior_that_is_no_number_is_neither_right_nor_wrong():
    p = torch.tensor([[0.2, 0.8, 0.0], [float("nan")] * 3])
    found = asked(Classification(Table(BITS, p)), Batch(torch.zeros(2, 2), labels(1, 0)))
    assert found["error"][0] == 0
    assert found["error"].isnan().tolist() == [False, True]
    summary = Answers({k: v.numpy() for k, v in found.items()}, {}).summary()
    assert summary["error"]["mean"] is None
    assert "row 1" in summary["error"]["reason"]


def test_posteriors_of_another_shape_are_an_error():
    with pytest.raises(GenlabError, match=r"log_posterior gave \(2, 2\) for 2 data of 3 classes"):
        asked(
            Classification(Table(BITS, torch.full((2, 2), 0.5))),
            Batch(torch.zeros(2, 2), labels(1, 0)),
        )


def test_the_floor_of_classification_guesses_the_most_frequent_training_label():
    x = torch.zeros(5, 2)
    data = Given(BITS, train=(x, labels(1, 1, 1, 0, 0)), test=(x[:4], labels(0, 0, 2, 1)))
    floor = Classification(Table(BITS, torch.ones(1, 3) / 3)).floor(data, "test")
    assert floor.of == "always label 1, the most frequent in training; p by label frequencies"
    assert floor.values["error"] == pytest.approx(0.75), "the most frequent test label is another"
    p = np.array([2.5, 3.5, 0.5]) / 6.5
    assert floor.values["nll"] == pytest.approx(-np.log(p[[0, 0, 2, 1]]).mean())


def test_reconstruction_is_summed_over_the_datum():
    x = torch.tensor([[3.0, 4.0], [1.0, -2.0]])
    metric = Reconstruction(Halves(PLANE))
    found = asked(metric, Batch(x))
    assert found["squared_error"].tolist() == [16.0, 4.0]
    assert found["per_dimension"].tolist() == [8.0, 2.0]
    assert metric.facts(Batch(x)) == {"code": 1}


def test_the_floor_of_reconstruction_is_the_training_mean():
    train, test = torch.tensor([[0.0, 2], [2, 2]]), torch.tensor([[1.0, 5], [2, 2]])
    floor = Reconstruction(Halves(PLANE)).floor(
        Given(PLANE, train=(train, None), test=(test, None)), "test"
    )
    assert floor.values == {"squared_error": pytest.approx(5), "per_dimension": pytest.approx(2.5)}


def test_a_mean_has_the_standard_error_of_its_values():
    values = np.array([0.0, 1, 0, 0, 1])
    (summary,) = Answers({"error": values}, {}).summary().values()
    assert summary["mean"] == pytest.approx(0.4)
    assert summary["stderr"] == pytest.approx(values.std(ddof=1) / math.sqrt(5))


class Mute(Model):
    """Says nothing of a datum."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.idle = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch) -> Tensor:
        return self.idle.square()


def test_a_model_that_can_have_no_number_is_told_so(tmp_path):
    allow_targets(["tests.metrics."])
    words = ["model=independent", "model._target_=tests.metrics.test_answers.Mute", "gallery=false"]
    run = genlab.train(*words, "stages.fit.max_epochs=1", f"folder={tmp_path}")
    assert run.answers == run.scores == []
    for words in ([], ["metric=all"]):
        assert main(["evaluate", str(run.path), *words]) == 2
    with pytest.raises(UsageError, match="Mute has no likelihood and can have none of the metrics"):
        run.measure()


class Built(Model, Classifies):
    """Could tell labels, and was built without."""

    classifies = False

    def loss(self, batch: Batch) -> Tensor:
        return torch.zeros(())

    def log_posterior(self, x: Tensor, *, generator: Generator) -> Tensor:
        raise AssertionError


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Classification(Halves(BITS)), "needs a model that tells labels, and Halves does"),
        (
            lambda: Classification(Table(PLANE, torch.ones(1, 3))),
            r"labels, and plane \(made up\) has none",
        ),
        (lambda: Classification(Built(BITS)), "this Built was built without"),
        (
            lambda: Reconstruction(Independent(BITS)),
            "needs a model with an encoder and a decoder, and Independent has none",
        ),
    ],
)
def test_what_a_model_lacks_is_named(make, says):
    with pytest.raises(UsageError, match=says):
        make()


def test_metrics_of_samples_need_samples():
    assert Frechet.lacking(Halves(PLANE)) == "samples, and Halves draws none"
    assert Frechet.lacking(Independent(PLANE)) == ""


# ------------------------------------------------------------------------------------------- over a split


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A classifier whose posterior is noisy: its numbers depend on the generator of each block."""
    allow_targets(["tests.testing."])
    return genlab.train(
        "model=independent",
        "model._target_=tests.testing.honest.NoisyPosterior",
        "data=digits",
        "stages.fit.max_epochs=4",
        "optimizer=adam",
        "optimizer.lr=0.02",
        f"folder={tmp_path_factory.mktemp('runs')}",
        "evaluate=[]",
        "gallery=false",
    )


def values(run, settings: TrainerSettings, **words) -> dict[str, np.ndarray]:
    (found,) = run.measure(settings=settings, **words)
    files = run.directory.metrics.glob("test-*.json")
    (file,) = [p for p in files if json.loads(p.read_text()) == found]
    return dict(np.load(file.with_suffix(".npz")))


def test_noisy_answers_are_the_same_on_two_processes(run):
    alone, shared = values(run, ALONE), values(run, FORKED)
    assert len(alone["error"]) == len(alone["nll"]) == 297
    assert np.array_equal(alone["nll"], shared["nll"])
    assert not np.array_equal(alone["nll"], values(run, ALONE, seed=1)["nll"])


def test_a_file_says_what_its_numbers_are(run):
    (found,) = run.measure(split="val")
    assert found["schema"] == 1
    assert found["kind"] == "answers"
    assert found["data"]["n"] == 200
    assert found["metric"]["name"] == "classification"
    assert found["values"].keys() == found["floor"]["values"].keys() == {"error", "nll"}
    assert found["floor"]["values"]["error"] > 0.85
    assert found["values"]["error"]["mean"] < 0.3
    assert found["checkpoint"]["sha256"]
    assert (found["world_size"], found["device"]) == (1, "cpu")


def test_another_precision_leaves_the_weights_alone(run):
    before = run.measure()
    run.measure(settings=TrainerSettings(accelerator="cpu", precision="64-true"))
    assert next(run.model.parameters()).dtype is torch.float32
    assert run.measure()[0]["values"] == before[0]["values"]
