"""Training: losses, validation and gradients."""

from __future__ import annotations

import copy

import torch

from genlab.contracts import GenerativeModel
from genlab.testing.check import Skip, check, expect
from genlab.testing.subject import Subject

FAR = 0.3  # nats; the training data are at least one nat away


@check(
    "after training, samples are still close to a distribution that knows nothing, where no fault would"
    " be seen: train longer (train_steps) or faster (a larger learning rate in the stage's optimizer)",
    needs=GenerativeModel,
)
def training_moves_the_model(s: Subject) -> None:
    nats = s.space.distance_from_uninformed(s.samples)
    expect(nats >= FAR, f"{nats:.2f} nats away, at least {FAR} are needed")


@check(
    "each parameter of a stage's module must get a gradient that is not zero: this one is never trained;"
    " use it in the loss, or make it a buffer, or leave it out of the stage"
)
def gradients_reach_every_parameter(s: Subject) -> None:
    expect(not s.silent, ", ".join(s.silent))


@check("the loss of every stage must be one finite number that depends on the stage's parameters")
def losses_are_finite_scalars(s: Subject) -> None:
    twin = copy.deepcopy(s.model)  # a loss may move chains and running means
    for stage in twin.stages():
        twin.enter(stage)
        with torch.enable_grad():
            loss = stage.loss(s.data(33))
        expect(loss.shape == (), f"stage {stage.name}: shape {tuple(loss.shape)}")
        expect(loss.isfinite(), f"stage {stage.name}: {float(loss)}")
        solved = stage.solve is not None
        expect(solved or loss.requires_grad, f"stage {stage.name}: no gradient")


@check("stages need names of their own: checkpoints are kept by name")
def stages_have_unique_names(s: Subject) -> None:
    names = [stage.name for stage in s.model.stages()]
    expect(bool(names), "there is no stage")
    expect(len(set(names)) == len(names), ", ".join(names))


@check("validation must return one finite number for each datum, under names")
def validation_gives_a_number_per_datum(s: Subject) -> None:
    found = [(stage.validate or s.model.validate)(s.data(33)) for stage in s.model.stages()]
    if not any(found):
        raise Skip("the model validates nothing")
    for key, value in (item for values in found for item in values.items()):
        expect(value.shape == (33,), f"{key} has shape {tuple(value.shape)} for 33 data")
        expect(
            value.isfinite().all(), f"{key} is not finite for {int((~value.isfinite()).sum())} data"
        )
