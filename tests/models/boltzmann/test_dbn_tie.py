"""A machine that begins as the one below it, upside down."""

from __future__ import annotations

import pytest
import torch

from genlab.contracts import Batch, Support
from genlab.models.boltzmann import DBN
from genlab.models.boltzmann.tie import tie
from tests.models.boltzmann.dbn import CLASSES, exact_log_z, spec, table
from tests.models.boltzmann.rbm import random_machine


def data(size: int, n: int = 200) -> Batch:
    generator = torch.Generator().manual_seed(5)
    x = (torch.rand(n, size, generator=generator) < 0.3).double()
    return Batch(x, torch.arange(n) % CLASSES)


def started(size: int, hidden: tuple[int, ...], **options) -> DBN:
    """A stack whose first machine has random weights and offsets, and whose others have just begun."""
    torch.manual_seed(0)
    model = DBN(spec(size), hidden, **options).double().eval()
    model.machines[0].machine.load_state_dict(random_machine(size, hidden[0]).state_dict())
    model.machines[0].machine.centre(torch.rand(size).double(), torch.rand(hidden[0]).double())
    for stage in model.stages()[1:]:
        stage.begin(data(size))
    return model.requires_grad_(False)


def log_p_of_every_draw(model: DBN) -> torch.Tensor:
    """(20, 2^D) log w − log Z: equal in every draw where q is the posterior."""
    x = table(model.spec.size)
    generator = torch.Generator().manual_seed(1)
    return model.log_unnormalised(x, 20, generator=generator) - exact_log_z(model)


@pytest.mark.parametrize(
    ("hidden", "within"), [((4, 6), 1e-9), ((4, 9), 1e-3), ((4, 6, 4), 1e-9), ((4, 7, 6), 2e-3)]
)
@pytest.mark.parametrize("labels", [False, True])
def test_bound_is_the_likelihood_of_the_machine_below(hidden, within, labels):
    model = started(6, hidden, labels=labels)
    first = model.machines[0].machine
    expected = -first.free_energy(table(6)) - first.log_z()
    error = (log_p_of_every_draw(model) - expected).abs().max()
    assert error < within
    if within > 1e-9:
        assert error > 1e-9


def test_offsets_are_the_means_and_centre_the_new_machine():
    model = started(6, (4, 6))
    machine, lifted = model.top.machine, model.layers()[0].up.mean(data(6).x)
    assert torch.allclose(machine.visible_offset, lifted.mean(0), atol=0.15)
    h = machine.couplings().activation(machine.visible_offset[None]).sigmoid()[0]
    assert torch.allclose(machine.hidden_offset, h, atol=0.3)
    assert not torch.allclose(machine.hidden_offset, torch.full((6,), 0.5).double(), atol=0.1)


def test_surplus_units_differ():
    machine = started(6, (4, 9)).top.machine
    extra = machine.weight[6:]
    assert (torch.pdist(extra) > 1e-5).all()
    assert (extra.abs() < 0.01).all()


def test_labels_begin_without_weights_at_their_base_rates():
    for hidden in [(4, 6), (4, 5)]:
        model = started(6, hidden, labels=True)
        plain = model.top.machine.couplings()
        assert not plain.weight[:, 4:].any()
        rates = torch.bincount(data(6).label, minlength=CLASSES).double()
        assert torch.allclose(plain.visible[4:].softmax(0), (rates + 0.5) / (rates + 0.5).sum())


@pytest.mark.parametrize(
    "model",
    [
        lambda: started(6, (4, 5)),  # too few hidden units for the visible ones below
        lambda: started(6, (4, 6), tied=False),
    ],
)
def test_other_machines_begin_at_the_base_rates_of_their_data(model):
    model = model()
    machine = model.top.machine
    assert machine.weight.abs().max() < 0.1
    torch.manual_seed(0)
    rates = model.layers()[0].up.mean(data(6).x).mean(0)
    assert torch.allclose(machine.couplings().visible.sigmoid(), rates, atol=0.1)


def test_gaussian_units_cannot_become_hidden_units():
    torch.manual_seed(0)
    model = DBN(spec(3, Support.REAL), (4, 3, 4)).requires_grad_(False)
    for stage in model.stages():
        stage.begin(Batch(torch.randn(50, 3)))
    assert model.machines[1].machine.weight.std() == pytest.approx(0.01, rel=0.5)
    first, second = (m.machine.couplings() for m in model.machines[1:])
    assert torch.allclose(second.weight, first.weight.T)


def test_a_machine_without_offsets_gets_none():
    below, above = random_machine(6, 4), random_machine(4, 6)
    tie(below, above, data(4).x)
    assert not above.visible_offset.any()
    assert torch.equal(above.hidden, below.couplings().visible)
    assert torch.equal(above.visible, below.couplings().hidden)
