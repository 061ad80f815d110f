"""Likelihoods, marginals, conditionals and draws against the enumeration of all states."""

from __future__ import annotations

import copy

import pytest
import torch
from scipy.stats import chisquare
from spn_networks import BITS, GREYS, NETWORKS, every_datum, random
from torch import Tensor

from genlab.contracts import Batch, Observed, UsageError
from genlab.contracts.figures import UNKNOWN
from genlab.randomness import generator
from genlab_spn.pictures import expected


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys(), scope="module")
def model(request):
    return request.param()


def evidence(model, n: int = 12) -> Observed:
    """Of n states spread over the space, about half of the entries; last nothing, and everything."""
    states = every_datum(model.spec)
    x = states[torch.randint(len(states), (n,), generator=generator("states"))]
    mask = torch.rand(x.shape, generator=generator("masks")) < 0.5
    mask[-2], mask[-1] = False, True
    return Observed(x, mask)


def enumerated(model) -> tuple[Tensor, Tensor]:
    """All states, and (S,) float64 log-probabilities."""
    states = every_datum(model.spec)
    return states, model.log_prob(states).double()


def p_value(counts: Tensor, p: Tensor) -> float:
    """Of counts: (C,) under p: (C,), cells of fewer than five expected counts being put together."""
    expected = p * counts.sum() / p.sum()
    rare = expected < 5
    pooled = [torch.cat([v[~rare], v[rare].sum()[None]]).numpy() for v in (counts, expected)]
    observed, wanted = (v[pooled[1] > 0] for v in pooled)
    return float(chisquare(observed, wanted).pvalue) if len(wanted) > 1 else 1.0


def counted(model, x: Tensor) -> Tensor:
    """(S,) how often each state is in x: (N, *shape)."""
    assert model.spec.levels is not None
    level = (x.flatten(1) * (model.spec.levels - 1)).round().long()
    place = model.spec.levels ** torch.arange(model.spec.size - 1, -1, -1)
    return (level * place).sum(1).bincount(minlength=model.spec.levels**model.spec.size).double()


def test_probabilities_sum_to_one(model):
    _, log_p = enumerated(model)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=2e-6)


def test_in_float64_probabilities_sum_to_one_to_rounding(model):
    twin = copy.deepcopy(model).double()
    log_p = twin.log_prob(every_datum(twin.spec).double())
    assert log_p.dtype is torch.float64
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_numbers_do_not_depend_on_the_precision_of_training(model):
    states = every_datum(model.spec)[:64]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model.log_prob(states)
    assert torch.equal(mixed, model.log_prob(states))


def test_marginals_are_sums_over_states(model):
    states, log_p = enumerated(model)
    known = evidence(model)
    agrees = known.log_r(states[:, None])  # (S, B)
    expected = (log_p[:, None] + agrees).logsumexp(0)
    torch.testing.assert_close(model.log_marginal(known).double(), expected, atol=2e-5, rtol=0)


def test_nothing_observed_has_probability_one(model):
    found = model.log_marginal(evidence(model))[-2]
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-5, rtol=0)


def test_conditionals_are_ratios_and_sum_to_one(model):
    states, known = every_datum(model.spec), evidence(model)
    for x, mask in zip(known.x[:4], known.mask[:4], strict=True):
        agreeing = states[((states == x) | ~mask).flatten(1).all(1)]
        log_p = model.log_conditional(agreeing, mask.expand_as(agreeing)).double()
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_probabilities(model):
    _, log_p = enumerated(model)
    x = model.sample(20_000, generator=generator("samples"))
    assert model.spec.contains(x)
    assert p_value(counted(model, x), log_p.exp()) > 1e-3


def test_completions_follow_the_conditional(model):
    states, log_p = enumerated(model)
    known = evidence(model, 5)
    drawn = model.complete(known, 4000, generator=generator("completions"))
    agrees = known.log_r(states[:, None])
    for b in range(5):
        conditional = (log_p + agrees[:, b]).softmax(0)
        assert p_value(counted(model, drawn[:, b]), conditional) > 1e-3


def test_what_is_not_observed_may_be_no_number(model):
    known = evidence(model)
    blank = Observed(known.x.masked_fill(~known.mask, torch.nan), known.mask)
    assert torch.equal(model.log_marginal(blank), model.log_marginal(known))
    draws = [model.complete(e, 2, generator=generator("blank")) for e in (known, blank)]
    assert torch.equal(*draws)


def test_a_row_is_completed_by_its_own_evidence(model):
    """The same stream and evidence give the same draws, whatever the other rows know."""
    known = evidence(model, 4)
    other = Observed(known.x, known.mask.clone())
    other.mask[1:] = False
    draws = [model.complete(e, 6, generator=generator("row")) for e in (known, known, other)]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0][:, 0], draws[2][:, 0])


@pytest.mark.parametrize("name", [name for name in NETWORKS if "levels" not in name])
def test_expected_bits_are_conditional_means(name):
    model = NETWORKS[name]()
    states, log_p = enumerated(model)
    known = evidence(model)
    weight = (log_p[:, None] + known.log_r(states[:, None])).softmax(0)  # (S, B)
    found = expected(known, model.log_marginal)
    torch.testing.assert_close(found.double(), weight.T @ states.double(), atol=2e-5, rtol=0)


def test_completions_are_shown_beside_their_datum():
    model = random(GREYS)
    x = every_datum(GREYS)[100:104]
    (figure,) = model.figures(Batch(x), generator=generator("figure"))
    pixels = figure.content.pixels
    assert pixels.shape == (4, 8, 1, 2, 3)  # the datum, its upper half, six draws
    assert torch.equal(pixels[:, 0], x)
    assert pixels[:, 1, :, 1].unique().tolist() == pytest.approx([UNKNOWN])
    assert figure.content.known[:, 1:, 0].all()
    assert not figure.content.known[:, 1:, 1].any()
    assert bool((pixels[:, :, :, 0] == x[:, None, :, 0]).all())
    assert not list(random().figures(Batch(every_datum(BITS)[:4]), generator=generator("none")))


def test_labels_are_refused():
    model = random()
    with pytest.raises(UsageError, match="RandomSPN is not conditioned on labels"):
        model.sample(2, label=torch.zeros(2, dtype=torch.long), generator=generator("x"))
