"""Contrastive wake–sleep: its gradients, and what it does to the exact likelihood of a small stack."""

from __future__ import annotations

import pytest
import torch

from genlab.contracts import Batch, Stage
from genlab.models.boltzmann import DBN
from genlab.models.boltzmann.updown import sleep_loss, wake_loss
from tests.models.boltzmann.dbn import CLASSES, exact_bound, exact_log_p, random_dbn, spec, table

SIZE = 6


def skewed(n: int) -> Batch:
    """Three prototypes with noise; labels say which."""
    generator = torch.Generator().manual_seed(3)
    which = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), n, True, generator=generator)
    prototypes = torch.tensor([[1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 1, 0.0]])
    flips = (torch.rand(n, SIZE, generator=generator) < 0.1).float()
    return Batch((prototypes[which] - flips).abs(), which)


def train(model: DBN, stage: Stage, batch: Batch, steps: int, lr: float) -> None:
    """By plain gradient descent on batches of 100."""
    model.enter(stage)
    torch.manual_seed(7)
    stage.begin(batch)
    optimizer = torch.optim.SGD([p for p in stage.module.parameters() if p.requires_grad], lr=lr)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - step / steps)
        rows = torch.randint(len(batch.x), (100,))
        optimizer.zero_grad()
        stage.loss(Batch(batch.x[rows], batch.label[rows])).backward()
        optimizer.step()


def pretrained(**options) -> DBN:
    torch.manual_seed(1)
    model = DBN(spec(SIZE), (4, 5), up_down=True, **options)
    for stage in model.stages()[:-1]:
        train(model, stage, skewed(2000), 400, 0.3)
    return model


@pytest.mark.parametrize("labels", [False, True])
def test_every_parameter_of_the_stage_gets_a_gradient_and_no_other(labels):
    model = pretrained(labels=labels)
    stage = model.stages()[-1]
    model.enter(stage)
    stage.begin(skewed(500))
    model.zero_grad()
    stage.loss(skewed(100)).backward()
    trained = {id(p) for p in stage.module.parameters()}
    assert stage.name == "up_down"
    for name, p in model.named_parameters():
        assert (p.grad is not None and bool(p.grad.any())) == (id(p) in trained), name


def test_begin_changes_no_number():
    model = pretrained().eval()
    x = table(SIZE).float()

    def numbers():
        generator = torch.Generator().manual_seed(2)
        return model.log_unnormalised(x, 4, generator=generator), model.sample(
            5, generator=generator
        )

    before = numbers()
    model.stages()[-1].begin(skewed(500))
    assert model.up_down.begun
    for ours, theirs in zip(before, numbers(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_gradients_of_wake_and_sleep_are_the_delta_rule():
    """(what is there − what was expected) times what it was expected from (Hinton et al. 2006)."""
    model = random_dbn(SIZE, (4, 3), up_down=True).requires_grad_(True)
    layers, layer = model.layers(), model.up_down.untied[0]
    v, h = table(SIZE)[[5, 40, 33]], table(4)[[1, 9, 14]]
    wake_loss(layers, [v, h]).backward()
    wrong = v - (h @ layer.down_weight.T + layer.down_bias).sigmoid()
    assert torch.allclose(layer.down_weight.grad, -wrong.T @ h / 3)
    assert torch.allclose(layer.down_bias.grad, -wrong.mean(0))
    assert layer.up_weight.grad is None
    model.zero_grad()
    sleep_loss(layers, [v, h]).backward()
    wrong = h - (v @ layer.up_weight.T + layer.up_bias).sigmoid()
    assert torch.allclose(layer.up_weight.grad, -wrong.T @ v / 3)
    assert torch.allclose(layer.up_bias.grad, -wrong.mean(0))
    assert layer.down_weight.grad is None


def test_recognition_learns_from_what_falls_from_the_ends_of_the_chains():
    """Generation that is certain makes the sleep phase the same in each draw."""
    model = random_dbn(SIZE, (4, 3), up_down=True).requires_grad_(True)
    layer, fantasy = model.up_down.untied[0], torch.tensor([[1.0, 0, 1, 1]] * 5).double()
    certain = torch.tensor([1.0, 1, 0, 0, 1, 0]).double()
    layer.down_weight.data.zero_()
    layer.down_bias.data = 1000 * (certain - 0.5)
    model.up_down.learner.step = lambda v: (torch.zeros(()), fantasy)
    model.up_down.loss(table(SIZE)[:10], lambda h: h, 0.0).backward()
    wrong = fantasy[0] - (layer.up_weight @ certain + layer.up_bias).sigmoid()
    assert torch.allclose(layer.up_weight.grad, -torch.outer(wrong, certain))
    assert torch.allclose(layer.up_bias.grad, -wrong)


@pytest.mark.parametrize("labels", [False, True])
def test_likelihood_and_bound_rise(labels):
    model, batch = pretrained(labels=labels), skewed(5000)
    codes = (batch.x.long() * 2 ** torch.arange(SIZE - 1, -1, -1)).sum(1)
    rows = batch.label if labels else torch.zeros_like(codes)

    @torch.no_grad()
    def mean() -> tuple[float, float]:
        twin = model.eval()
        log_p = exact_log_p(twin.double())
        bound = exact_bound(twin)
        twin.float()
        return log_p[codes, rows].mean().item(), bound[codes].mean().item()

    before, before_bound = mean()
    train(model, model.stages()[-1], batch, 400, 0.3)
    after, after_bound = mean()
    assert after > before + 0.1
    assert after_bound > before_bound + 0.1


def test_data_fall_by_generation_and_rise_by_recognition():
    model = random_dbn(SIZE, (4, 3), up_down=True)
    own, x = model.up_down.untied[0], table(SIZE)

    def drawn():
        return model.sample(50, generator=torch.Generator().manual_seed(1))

    samples, codes = drawn(), model.encode(x)
    own.up_weight.neg_()
    assert torch.equal(drawn(), samples)
    assert not torch.allclose(model.encode(x), codes)
    own.up_weight.neg_()
    own.down_weight.neg_()
    assert not torch.equal(drawn(), samples)
    assert torch.equal(model.encode(x), codes)


def test_gibbs_steps_change_in_equal_parts():
    model = random_dbn(SIZE, (4, 3), up_down=True, gibbs=(3, 6, 10))
    v, seen = table(SIZE)[:4], []
    for progress in (0.0, 0.32, 0.34, 0.65, 0.67, 1.0):
        model.up_down.loss(v, lambda h: h, progress)
        seen.append(model.up_down.learner.chains.steps)
    assert seen == [3, 3, 6, 6, 10, 10]


def test_labels_are_classes_of_the_top_machine_in_the_stage():
    model = pretrained(labels=True)
    stage = model.stages()[-1]
    train(model, stage, skewed(2000), 400, 0.3)
    batch = skewed(1000)
    found = model.eval().log_posterior(batch.x, generator=torch.Generator()).argmax(1)
    assert found.max() < CLASSES
    assert (found == batch.label).float().mean() > 0.85
