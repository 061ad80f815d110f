"""Schedules by steps: what they do to the weights, what a resumed run makes of them, what is refused."""

from __future__ import annotations

import csv
from functools import partial

import pytest
import torch

from genlab.contracts import Batch, DataSpec, GenerativeModel, Stage, UsageError
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit, resolve_stages
from genlab.training.curves import NonFinite
from tests.training.small import Bits

SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.3)
SCHEDULES = {"lr_schedule": {5: 0.1, 12: 0.01}, "momentum_schedule": {3: 0.9, 10: 0.99}}


class Centre(GenerativeModel):
    """Learns the mean of the data by gradient steps."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.centre = torch.nn.Parameter(torch.zeros(spec.size))

    def stages(self):
        return (Stage("fit", self, self.loss, optimizer=SGD, max_epochs=2, about="distance"),)

    def loss(self, batch: Batch) -> torch.Tensor:
        return (batch.x - self.centre).square().sum(1).mean()

    def sample(self, n, *, label=None, generator):
        return torch.zeros(n, *self.spec.shape)


def train(path, changes, epochs: int = 2, batch_size: int = 8, **trainer) -> Centre:
    data = Bits(batch_size)
    model = Centre(data.spec)
    stages = resolve_stages(model, {"fit": {"max_epochs": epochs, **changes}}, None)
    run = RunDirectory(path)
    run.finished("fit").unlink(missing_ok=True)
    fit(model, data, stages, run, TrainerSettings(accelerator="cpu", **trainer), seed=0)
    return model


def by_hand() -> torch.Tensor:
    """Sutskever's form of momentum, as torch's SGD: u ← μ u + g, w ← w − ε u."""
    data = Bits()
    data.shuffle_seed = 0
    data.setup("fit")
    loader = data.train_dataloader()
    centre, velocity, step = torch.zeros(4), None, 0
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            rate = 0.5 * (1 if step < 5 else 0.1 if step < 12 else 0.01)
            momentum = 0.3 if step < 3 else 0.9 if step < 10 else 0.99
            gradient = 2 * (centre - batch.x).mean(0)
            velocity = gradient if velocity is None else momentum * velocity + gradient
            centre, step = centre - rate * velocity, step + 1
    return centre


def test_each_step_has_the_rate_and_momentum_of_its_schedule(tmp_path):
    torch.testing.assert_close(train(tmp_path, SCHEDULES).centre.data, by_hand())


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_resumed_schedule_goes_on_bit_for_bit(tmp_path, epochs):
    undisturbed = train(tmp_path / "a", SCHEDULES, epochs=4)
    train(tmp_path / "b", SCHEDULES, epochs=epochs)  # 8 steps in an epoch
    resumed = train(tmp_path / "b", SCHEDULES, epochs=4)
    assert torch.equal(undisturbed.centre, resumed.centre)


def test_steps_are_those_of_the_optimizer(tmp_path):
    """Accumulating two batches, an epoch of eight has four steps: the schedule's step 4 is its end."""
    late = {"lr_schedule": {4: 0.0}}
    halves = train(tmp_path / "a", late, epochs=2, accumulate_grad_batches=2)
    whole = train(tmp_path / "b", {}, epochs=1, accumulate_grad_batches=2)
    assert torch.equal(halves.centre, whole.centre)


def test_the_curves_show_the_rate_of_the_schedule(tmp_path):
    train(tmp_path, SCHEDULES)
    with RunDirectory(tmp_path).curves.open() as file:
        rates = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "lr"]
    assert rates == pytest.approx([0.05, 0.005])  # after 8 and after 16 steps


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lr_schedule": {-1: 0.1}}, "-1 is no step"),
        ({"lr_schedule": {"soon": 0.1}}, "'soon' is no step"),
        ({"lr_schedule": {0.5: 0.1}}, "0.5 is no step"),
        ({"lr_schedule": {10: -0.1}}, "-0.1 at step 10 is not a factor"),
        ({"lr_schedule": {10: "low"}}, "'low' at step 10 is not a factor"),
        ({"lr_schedule": {10: float("inf")}}, "inf at step 10 is not a factor"),
        ({"lr_schedule": 3}, "lr_schedule=3: expected text or keys and values"),
        ({"lr_schedule": "slow"}, "expected constant or linear or cosine, or a factor from a step"),
        ({"momentum_schedule": {10: 1.0}}, "1.0 at step 10 is not a momentum in"),
        ({"momentum_schedule": {10: -0.5}}, "-0.5 at step 10 is not a momentum in"),
        ({"momentum_schedule": {-3: 0.5}}, "-3 is no step"),
        ({"momentum_schedule": 0.9}, "momentum_schedule=0.9: expected keys and values or null"),
    ],
)
def test_what_is_no_schedule_is_refused(changes, says):
    model = Centre(Bits().spec)
    with pytest.raises(UsageError, match=r"stages\.fit") as raised:
        resolve_stages(model, {"fit": changes}, None)
    assert says in str(raised.value)


@pytest.mark.parametrize("optimizer", [None, torch.optim.RMSprop, torch.optim.AdamW])
def test_momentum_needs_an_optimizer_that_has_it(optimizer, monkeypatch):
    stage = Stage("fit", Centre(Bits().spec), torch.sum, momentum_schedule={3: 0.9})
    monkeypatch.setattr(Centre, "stages", lambda self: (stage,))
    with pytest.raises(UsageError, match="has no momentum that could change"):
        resolve_stages(Centre(Bits().spec), {}, optimizer)


def test_steps_in_scientific_notation_are_steps():
    (stage,) = resolve_stages(Centre(Bits().spec), {"fit": {"lr_schedule": {1e4: 1}}}, None)
    assert stage.lr_schedule == {10000: 1}


def test_a_loss_that_is_not_finite_names_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(Centre, "loss", lambda self, batch: self.centre.sum() * torch.nan)
    with pytest.raises(
        NonFinite, match=r"the loss \(distance\) is nan at step 1 of stage 'fit': n"
    ):
        train(tmp_path, {})


def test_weights_that_are_not_finite_name_the_loss(tmp_path, monkeypatch):
    """The gradient of √0 is infinite, the loss is not."""
    monkeypatch.setattr(Centre, "loss", lambda self, batch: self.centre.square().sum().sqrt())
    with pytest.raises(NonFinite, match=r"stage 'fit' \(distance\): nothing"):
        train(tmp_path, {}, epochs=1, batch_size=64)
