"""Training: losses, validation and gradients."""

from __future__ import annotations

import copy
import math

import torch

from genlab.contracts import GenerativeModel, Stage
from genlab.testing.check import Skip, check, expect
from genlab.testing.subject import Subject

FAR = 0.3  # nats; the training data are at least one nat away
ROWS, NOISES, NEARLY = 32, 8, 0.1
RISE = 0.1  # of the larger: a stage that polishes may raise its value a little


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
    expect(not s.training.silent, ", ".join(s.training.silent))


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


@check(
    "the loss of a batch and of the same batch twice over must be about the same, a mean over data: a sum"
    " makes the learning rate depend on the size of the batch, and the last batch of an epoch count less"
)
def losses_are_means_over_the_batch(s: Subject) -> None:
    for stage in s.model.stages():
        one, two, four = (_mean_loss(s, stage, copies) for copies in (1, 2, 4))
        summed = abs(two / one - 2) < NEARLY and abs(four / one - 4) < 2 * NEARLY
        expect(not summed, f"stage {stage.name}: {one:.4g}, {two:.4g} of two, {four:.4g} of four")


def _mean_loss(s: Subject, stage: Stage, copies: int) -> float:
    """Over a few draws of its noise, of so many copies of one batch."""
    twin, batch = copy.deepcopy(s.model), s.data(ROWS)
    stage = next(each for each in twin.stages() if each.name == stage.name)
    twin.enter(stage)
    many = batch._replace(
        x=torch.cat([batch.x] * copies),
        label=None if batch.label is None else torch.cat([batch.label] * copies),
        index=None if batch.index is None else torch.cat([batch.index] * copies),
    )
    with torch.enable_grad():
        losses = [float(stage.loss(many).detach()) for _ in range(NOISES)]
    return sum(losses) / NOISES or math.inf


@check(
    "the value that validate gives first is monitored, and the weights with the least of it are kept: it"
    " must fall as the model learns, so give -log p and not log p"
)
def what_is_monitored_falls(s: Subject) -> None:
    if not s.training.monitored:
        raise Skip("no stage that is trained validates anything")
    for stage, name, before, after in s.training.monitored:
        risen = after > before + RISE * max(abs(before), abs(after))
        expect(not risen, f"{name} rose from {before:.4g} to {after:.4g} in stage {stage}")


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
