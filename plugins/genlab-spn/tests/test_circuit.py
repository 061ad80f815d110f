"""Sparse circuits: a network small enough for pen and paper, flows, structures that are loaded."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from spn_networks import BITS, GREYS, learned, some_data
from torch import Tensor

from genlab.contracts import Observed
from genlab.randomness import generator
from genlab_spn import LearnedSPN
from genlab_spn.circuit import Builder, Circuit
from genlab_spn.tensorised import pick

LOG = math.log


def by_hand() -> Circuit:
    """Poon & Domingos, figure 1 in spirit: 0.3 · [x1] (0.9 x2 + 0.1 x̄2) + 0.7 (0.4 x1 + 0.6 x̄1)(0.2 x2
    + 0.8 x̄2).
    """
    builder = Builder(4)  # x̄1, x1, x̄2, x2
    first = builder.sum([0, 1], [LOG(0.6), LOG(0.4)])
    second = builder.sum([2, 3], [LOG(0.8), LOG(0.2)])
    third = builder.sum([2, 3], [LOG(0.1), LOG(0.9)])
    parts = [builder.product([1, third]), builder.product([first, second])]
    builder.sum(parts, [LOG(0.3), LOG(0.7)])
    return Circuit(4, builder.layout())


def indicators(*possible: tuple[int, ...]) -> Tensor:
    """(4, B) of the indicators that are one."""
    table = torch.zeros(len(possible), 4)
    for row, ones in zip(table, possible, strict=True):
        row[list(ones)] = 1
    return table.T.log()


def value(circuit: Circuit, which: Tensor) -> Tensor:
    return circuit.log_prob(circuit.normalise(circuit.logits), which).exp()


def test_a_network_by_hand():
    found = value(by_hand(), indicators((1, 3), (1, 2), (0, 3), (0, 2), (1, 2, 3), (0, 1, 2, 3)))
    p = [0.3 * 0.9 + 0.7 * 0.4 * 0.2, 0.3 * 0.1 + 0.7 * 0.4 * 0.8, 0.7 * 0.6 * 0.2, 0.7 * 0.6 * 0.8]
    torch.testing.assert_close(found, torch.tensor([*p, p[0] + p[1], 1.0]))


def test_weights_are_normalised_within_each_sum():
    """Whatever is added to the logits of one sum."""
    circuit, data = by_hand(), indicators((1, 3), (0, 2))
    before = value(circuit, data)
    with torch.no_grad():
        circuit.logits[:2] += 90.0
        circuit.logits[-2:] -= 90.0
    torch.testing.assert_close(value(circuit, data), before)
    weights = circuit.normalise(circuit.logits).exp().view(-1, 2)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))


def test_flows_are_the_posterior_of_each_choice():
    """Given x1 = x2 = 1 the root took its first child with probability 0.27 / (0.27 + 0.056)."""
    circuit, data = by_hand(), indicators((1, 3))
    log_weight = circuit.normalise(circuit.logits).detach()
    values = circuit.upward(log_weight, data)
    flow = circuit.downward(values, log_weight, torch.ones(1))
    first = 0.27 / (0.27 + 0.056)
    torch.testing.assert_close(flow[-2:], torch.tensor([first, 1 - first]))
    sums = sorted(round(float(total), 5) for total in flow.view(-1, 2).sum(1))
    assert sums == sorted([1.0, round(first, 5), round(1 - first, 5), round(1 - first, 5)])


@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_gradients_are_finite_differences(spec):
    model = learned(spec).double()
    x = some_data(spec)[:6]
    mask = torch.rand(x.shape, generator=generator("mask")) < 0.7
    data = model._indicators(Observed(x, mask))[:, :4]
    logits = model.circuit.logits.detach().clone().requires_grad_()
    small = torch.arange(0, len(logits), max(1, len(logits) // 12))

    def f(part: Tensor) -> Tensor:
        whole = logits.detach().index_copy(0, small, part)
        return model.circuit.log_prob(model.circuit.normalise(whole), data)

    assert torch.autograd.gradcheck(f, (logits.detach()[small].clone().requires_grad_(),))


def test_a_fresh_model_takes_on_a_learned_structure():
    model, fresh, x = learned(), LearnedSPN(BITS).eval(), some_data(BITS)
    assert fresh.circuit.nodes != model.circuit.nodes
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.log_prob(x), model.log_prob(x))
    draws = [m.sample(32, generator=generator("draws")) for m in (model, fresh)]
    assert torch.equal(*draws)


def test_a_structure_of_other_sizes_can_be_replaced_and_copied():
    model, other, x = learned(min_rows=10_000), learned(), some_data(BITS)
    twin = copy.deepcopy(model)
    twin.load_state_dict(other.state_dict())
    assert torch.equal(twin.log_prob(x), other.log_prob(x))
    assert not torch.equal(model.log_prob(x), other.log_prob(x))


def test_weights_loaded_into_the_same_structure_stay_the_optimizer_s():
    """A parameter that is replaced would be trained no more."""
    model = learned()
    before = model.circuit.logits
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    assert model.circuit.logits is before


def test_a_state_without_a_structure_is_refused():
    state = learned().state_dict()
    del state["circuit.steps"]
    with pytest.raises(RuntimeError, match=r"circuit\.steps"):
        LearnedSPN(BITS).load_state_dict(state)


def test_impossible_choices_are_never_drawn():
    model, x = learned(), some_data(BITS)[:20]
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 0] = False
    drawn = model._draw(Observed(x, mask), 500, generator("draw"))
    assert bool(((drawn == x) | ~mask).all())


@pytest.mark.parametrize("impossible", [0, 2])
@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
def test_impossible_choices_are_not_drawn_by_the_least_and_greatest_numbers(
    impossible, u, monkeypatch
):
    """In float32 the shares of the others, far below one, add up to less than one by 1e-6."""
    builder, weights = Builder(3), torch.rand(200, 3, generator=generator("sums")) + 0.1
    builder.product([builder.sum([0, 1, 2], row.log().tolist()) for row in weights])
    circuit = Circuit(3, builder.layout())
    values = torch.full((3, 1), -208.0)
    values[impossible] = -math.inf
    log_weight = circuit.normalise(circuit.logits).detach()
    upward = circuit.upward(log_weight, values)
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.zeros(*size) + u)
    assert not circuit.draw(upward, log_weight, 1, generator("unused"))[impossible].any()
    terms = weights.log().double() + values.squeeze(1)
    assert not (pick(terms, generator("unused")) == impossible).any()


def test_rows_are_evaluated_in_portions_that_change_nothing(monkeypatch):
    model, x = learned(), some_data(BITS)[:40]
    whole = model.log_prob(x)
    monkeypatch.setattr("genlab_spn.learned.ROWS", 7)
    torch.testing.assert_close(model.log_prob(x), whole, atol=1e-6, rtol=0)
