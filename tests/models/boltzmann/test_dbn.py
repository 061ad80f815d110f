"""The deep belief network against sums over all states of all its units."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from genlab.contracts import Batch, DataSpec, Guarantee, Support, UnsupportedData, UsageError
from genlab.likelihood import AnnealedImportance, Enumerated
from genlab.models.boltzmann import DBN, RBM
from genlab.randomness import scope
from genlab.testing.statistics import Estimate, g_test
from tests.models.boltzmann.dbn import (
    CLASSES,
    codes,
    exact_bound,
    exact_log_p,
    exact_log_z,
    random_dbn,
    spec,
    table,
)
from tests.training.small import Bits

SIGMAS = 4.0


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(model: DBN, k: int, seed: int = 0) -> torch.Tensor:
    """(k, 2^D) log w − log Z of all data."""
    x = table(model.spec.size)
    return model.log_unnormalised(x, k, generator=noise(seed)) - exact_log_z(model)


STACKS = {
    "6-4-6": lambda: random_dbn(6, (4, 6)),
    "6-4-6, labels": lambda: random_dbn(6, (4, 6), labels=True),
    "5-4-3-4": lambda: random_dbn(5, (4, 3, 4)),
    "6-4-5, untied": lambda: random_dbn(6, (4, 5), scale=0.5, up_down=True),
}


def test_posteriors_and_data_of_the_upper_machine_are_as_exact_under_autocast():
    model = random_dbn(6, (4, 6), labels=True, scale=3.0).float()
    x, found = table(6).float().repeat(50, 1), []
    for mixed in (False, True):
        with scope("autocast"), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            lifted = model._lifted(1, Batch(x)).x
            found.append((model.log_posterior(x, generator=noise()), lifted))
    assert all(torch.equal(full, mixed) for full, mixed in zip(*found, strict=True))


@pytest.mark.parametrize("build", STACKS.values(), ids=STACKS.keys())
def test_mean_weight_is_the_probability(build):
    """Of every datum, and of all of them together: E[w] = Z p(v), which sums to Z."""
    model = build()
    assert (
        model.top.log_z() == pytest.approx(exact_log_z(model), abs=1e-9) if model.summable else True
    )
    log_p = exact_log_p(model).logsumexp(1)
    assert float(log_p.logsumexp(0)) == pytest.approx(0, abs=1e-10)
    w = weights(model, 20_000).exp()
    each, total = Estimate.of(w), Estimate.of(w.sum(1))
    assert each.sigmas(log_p.exp(), 0).abs().max() < SIGMAS + 0.5
    assert total.sigmas(1.0, 0).abs() < SIGMAS
    assert total.error < 0.02


def test_bound_is_the_mean_of_the_log_weights_and_below_the_likelihood():
    model = random_dbn(6, (4, 6))
    exact, bound = exact_log_p(model).squeeze(1), exact_bound(model)
    assert (bound < exact).all()
    assert (exact - bound).max() > 0.1
    found = Estimate.of(weights(model, 20_000))
    assert found.sigmas(bound, 0).abs().max() < SIGMAS


def test_importance_estimate_rises_with_k_to_the_likelihood():
    model = random_dbn(6, (4, 6), scale=0.5)
    log_w, exact = weights(model, 40_000), exact_log_p(model).squeeze(1)
    of_k = [log_w.view(-1, k, 64).logsumexp(1) - math.log(k) for k in (1, 10, 100, 1000)]
    for fewer, more in itertools.pairwise(of_k):
        assert (more.mean(0) > fewer.mean(0)).all()
    assert Estimate.of(of_k[-1]).sigmas(exact, 0.005).abs().max() < SIGMAS
    assert (exact - of_k[0].mean(0)).max() > 0.1


def test_likelihoods_say_what_kind_of_number_they_give():
    model = DBN(Bits().spec, (3, 4)).eval()
    x = table(4).float()

    def score(estimator):
        estimator.prepare(Bits(), generator=noise())
        return estimator(x, generator=noise())

    bound, estimate = score(Enumerated(model)), score(Enumerated(model, k=5))
    assert bound.guarantee is estimate.guarantee is Guarantee.LOWER_BOUND
    assert bound.method == "enumeration, variational bound"
    assert estimate.method == "enumeration, importance estimate, K = 5"
    annealed = score(AnnealedImportance(model, chains=10, temperatures=5))
    assert annealed.guarantee is Guarantee.ESTIMATE
    assert annealed.method.startswith(
        "variational bound (log p too low), AIS (log p too high), 2 × 10"
    )
    assert not annealed.bracket.two_sided
    one = score(Enumerated(DBN(Bits().spec, (3,))))
    assert (one.guarantee, one.method) == (Guarantee.EXACT, "enumeration")


def test_one_layer_is_a_restricted_boltzmann_machine():
    torch.manual_seed(0)
    bits = spec(6)
    dbn, rbm = (
        DBN(bits, (5,), labels=True, transitions=20),
        RBM(bits, 5, labels=True, transitions=20),
    )
    torch.nn.init.normal_(dbn.top.machine.weight)
    rbm.load_state_dict(dbn.top.state_dict())
    x = table(6).float()
    assert dbn.unnormalised is rbm.unnormalised is Guarantee.EXACT
    assert (dbn.summable, dbn.log_z()) == (rbm.summable, rbm.log_z())

    def numbers(model):
        path = model.path(x, generator=noise(1))
        z = model.encode(x)
        return [
            model.log_unnormalised(x, 3, generator=noise(2)),
            model.log_posterior(x, generator=noise(3)),
            model.sample(9, generator=noise(4)),
            model.sample(3, label=torch.arange(3), generator=noise(5)),
            z,
            model.decode(z),
            path.log_f(path.start(7, generator=noise(6)), 0.4),
        ]

    for ours, theirs in zip(numbers(dbn), numbers(rbm), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("build", STACKS.values(), ids=STACKS.keys())
def test_samples_follow_the_probabilities(build):
    model = build()
    p = exact_log_p(model).logsumexp(1).exp()
    drawn = codes(model.sample(20_000, generator=noise()))
    assert g_test(torch.bincount(drawn, minlength=len(p)), p) > 1e-3


def test_samples_of_a_label_follow_the_probabilities_given_it():
    model = random_dbn(6, (4, 6), scale=1.5, seed=1, labels=True)
    log_p = exact_log_p(model)
    assert (log_p.softmax(0)[:, 0] - log_p.softmax(0)[:, 1]).abs().sum() > 0.3
    for label in range(CLASSES):
        given = torch.full((10_000,), label)
        drawn = codes(model.sample(len(given), label=given, generator=noise(label)))
        p = log_p[:, label].softmax(0)
        assert g_test(torch.bincount(drawn, minlength=len(p)), p) > 1e-3


def test_path_starts_at_the_base_rates_of_what_the_data_become():
    model = random_dbn(6, (4, 6))
    x = table(6)[[3, 3, 40, 63]].repeat(5000, 1)
    path = model.path(x, generator=noise())
    up = model.layers()[0].up.natural(x).sigmoid().mean(0)
    assert torch.allclose(path.base.sigmoid(), up, atol=0.02)
    assert path.machine.visible.shape == (4,)


def test_codes_are_means_from_layer_to_layer():
    model = random_dbn(5, (4, 3, 4))
    first, second, top = (m.machine for m in model.machines)
    x = table(5)
    h = (x @ first.weight.T + first.hidden).sigmoid()
    h = (h @ second.weight.T + second.hidden).sigmoid()
    z = (h @ top.weight.T + top.hidden).sigmoid()
    assert torch.allclose(model.encode(x), z)
    back = (z @ top.weight + top.visible).sigmoid()
    back = (back @ second.weight + second.visible).sigmoid()
    back = (back @ first.weight + first.visible).sigmoid()
    assert torch.allclose(model.decode(z), back)


def test_posterior_is_that_of_the_top_machine_at_the_means():
    """The posterior given the means of h, by the sum over all top hidden units."""
    model = random_dbn(6, (4, 6), seed=1, labels=True)
    first, top = model.machines[0].machine, model.top.machine
    h = (table(6) @ first.weight.T + first.hidden).sigmoid()
    columns = []
    for y in range(CLASSES):
        v = torch.cat([h, torch.eye(CLASSES).double()[y].expand(64, -1)], dim=1)
        u = table(6)
        columns.append(
            (v @ top.weight.T @ u.T + (v @ top.visible)[:, None] + u @ top.hidden).logsumexp(1)
        )
    expected = torch.stack(columns, dim=1).log_softmax(1)
    found = model.log_posterior(table(6), generator=noise())
    assert torch.allclose(found, expected, atol=1e-7)
    assert (found.exp().std(0) > 0.003).all()


@pytest.mark.parametrize("hidden", [(), (0,), (5, -1)])
def test_sizes_that_cannot_be_are_refused(hidden):
    with pytest.raises(
        UsageError, match=r"^hidden=\[.*\] must be one or more numbers of at least 1"
    ):
        DBN(spec(4), hidden)


def test_other_bad_settings_are_one_line():
    unlabelled = DataSpec("bits", "made up", (4,), Support.BINARY)
    with pytest.raises(
        UnsupportedData, match=r"model\.labels=true needs data with labels; bits has none"
    ):
        DBN(unlabelled, (3, 3), labels=True)
    with pytest.raises(UsageError, match=r"model\.up_down=true needs two layers or more"):
        DBN(spec(4), (3,), up_down=True)
    with pytest.raises(UsageError, match=r"^gibbs=\[3, 0\]"):
        DBN(spec(4), (3, 3), gibbs=(3, 0))
    with pytest.raises(UsageError, match="no label units"):
        DBN(spec(4), (3, 3)).sample(2, label=torch.zeros(2, dtype=torch.long), generator=noise())
