"""Label units against sums over all states, and Bayes' rule."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genlab.contracts import DataSpec, Observed, Support, UnsupportedData, UsageError
from genlab.models.boltzmann import RBM
from genlab.models.boltzmann.labels import attach, log_joint
from genlab.testing.statistics import g_test
from tests.models.boltzmann.grids import all_bits, codes, machine_of

CLASSES, SIZE, DRAWS = 3, 4, 4000
BITS = DataSpec("bits", "", (SIZE,), Support.BINARY, classes=CLASSES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labelled(units: str = "bernoulli", transitions: int = 60, scale: float = 1.0) -> RBM:
    """With random weights and biases, float64."""
    model = RBM(BITS, 3, units=units, labels=True, transitions=transitions)  # type: ignore[arg-type]
    drawn = machine_of(model.machine.visible_units, model.machine.hidden_units)
    model.machine.load_state_dict(drawn.state_dict())
    model.machine.weight.data *= scale
    return model.double().requires_grad_(False)


def log_table(model: RBM) -> Tensor:
    """(2^D, C) log p(v, y), h summed out by hand for bits, else by the free energy of each (v, y)."""
    v, eye = all_bits(SIZE), torch.eye(CLASSES, dtype=torch.float64)
    columns = []
    for y in range(CLASSES):
        both = torch.cat([v, eye[y].expand(len(v), -1)], dim=1)
        if model.machine.hidden_units.binary:
            plain, h = model.machine.couplings(), all_bits(3)
            terms = both @ plain.weight.T @ h.T + h @ plain.hidden
            columns.append((terms + (both @ plain.visible)[:, None]).logsumexp(1))
        else:
            columns.append(-model.machine.free_energy(both))
    return torch.stack(columns, 1).flatten().log_softmax(0).view(-1, CLASSES)


def data(v: Tensor) -> Tensor:
    return v.view(-1, SIZE)


@pytest.mark.parametrize("units", ["bernoulli", "gaussian", "rectified"])
def test_joint_marginal_and_posterior_are_those_of_the_table(units):
    model = labelled(units)
    expected = log_table(model)
    v = all_bits(SIZE)
    found = log_joint(model.machine.couplings(), v, CLASSES)
    assert torch.allclose(found.flatten().log_softmax(0).view_as(found), expected, atol=1e-9)
    (marginal,) = model.log_unnormalised(data(v), generator=seeded())
    assert torch.allclose(marginal.log_softmax(0), expected.logsumexp(1), atol=1e-9)
    posterior = model.log_posterior(data(v), generator=seeded())
    assert torch.allclose(posterior, expected - expected.logsumexp(1, keepdim=True), atol=1e-9)
    if units == "bernoulli":
        assert torch.allclose(marginal - model.log_z(), expected.logsumexp(1), atol=1e-9)
        assert torch.allclose(
            found - model.log_z(), expected, atol=1e-9
        )  # the same Z normalises both


def test_posterior_is_in_float32_under_autocast():
    """Labels differ by less than half precision leaves of a free energy."""
    model = labelled(scale=3.0).float()
    v = data(all_bits(SIZE)).float()
    expected = model.log_posterior(v, generator=seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model.log_posterior(v, generator=seeded())
    assert torch.equal(found, expected)


def test_samples_of_a_label_follow_the_conditional():
    model = labelled()
    table = log_table(model)
    label = torch.arange(CLASSES).repeat_interleave(DRAWS)
    drawn = model.sample(len(label), label=label, generator=seeded())
    for y in range(CLASSES):
        counts = torch.bincount(codes(drawn[label == y]), minlength=2**SIZE)
        assert g_test(counts, table[:, y].softmax(0)) > 1e-3
    free = model.sample(DRAWS, generator=seeded(1))
    assert g_test(torch.bincount(codes(free), minlength=2**SIZE), table.logsumexp(1).exp()) > 1e-3


@pytest.mark.parametrize("label", [None, 2])
def test_completions_follow_the_conditional(label):
    """Of the last two bits given the first two, and a label where there is one."""
    model = labelled()
    x = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    mask = torch.tensor([True, True, False, False]).expand(2, -1)
    given = None if label is None else torch.full((2,), label)
    drawn = model.complete(Observed(x, mask), DRAWS, label=given, generator=seeded())
    assert drawn.shape == (DRAWS, 2, SIZE)
    assert torch.equal(drawn[..., :2], x[:, :2].expand(DRAWS, -1, -1))
    table = log_table(model)
    weight = table.logsumexp(1) if label is None else table[:, label]
    for row in range(2):
        agrees = (all_bits(SIZE)[:, :2] == x[row, :2]).all(1)
        counts = torch.bincount(codes(drawn[:, row, 2:]), minlength=4)
        assert g_test(counts, weight[agrees].softmax(0)) > 1e-3


def test_label_is_one_bit_beside_the_datum():
    v = torch.rand(2, 3)
    assert torch.equal(attach(v, torch.tensor([1, 0]), 2)[:, 3:], torch.tensor([[0.0, 1], [1, 0]]))


def test_codes_of_unlabelled_data_see_the_mean_label():
    model = labelled()
    model.machine.base[SIZE:] = torch.tensor([0.1, 0.2, 0.7]).log()
    v = all_bits(SIZE)
    plain = model.machine.couplings()
    rates = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float32).double().expand(len(v), -1)
    expected = (torch.cat([v, rates], 1) @ plain.weight.T + plain.hidden).sigmoid()
    assert torch.allclose(model.encode(data(v)), expected, atol=1e-6)


def test_labels_need_labelled_data():
    bare = DataSpec("nltcs", "", (SIZE,), Support.BINARY)
    with pytest.raises(UnsupportedData, match=r"model.labels=true needs data with labels; nltcs"):
        RBM(bare, 3, labels=True)
    with pytest.raises(UsageError, match=r"no label units: train it with model.labels=true"):
        RBM(BITS, 3).sample(2, label=torch.tensor([0, 1]), generator=seeded())
    assert not RBM(BITS, 3).classifies
    assert labelled().classifies
