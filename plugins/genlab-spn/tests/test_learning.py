"""Structure learning: what is found in data whose structure is known, and what EM makes of it."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2_contingency
from spn_networks import BITS, GREYS, every_datum, learned, some_data
from torch import Tensor
from torch.nn import functional as F

from genlab.contracts import Batch, DataSpec, Support, UnsupportedData, UsageError
from genlab.models.chow_liu import ChowLiu
from genlab.randomness import generator, scope
from genlab_spn import LearnedSPN
from genlab_spn.clustering import two_clusters
from genlab_spn.dependence import dependent_groups, mutual_information, pair_counts
from genlab_spn.trees import spanning_tree


def hot(level: Tensor, levels: int = 2) -> Tensor:
    return F.one_hot(level.long(), levels).float()


def coins(n: int, d: int, *, name: str = "coins") -> Tensor:
    return torch.randint(2, (n, d), generator=generator(name))


# ------------------------------------------------------------------------------------------ columns


def test_g_is_scipys():
    level = (some_data(GREYS).flatten(1) * 2).long()[:, :2]
    table = np.zeros((3, 3))
    for a, b in level.tolist():
        table[a, b] += 1
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    g = 2 * len(level) * mutual_information(pair_counts(hot(level, 3)) / len(level))[0, 1]
    assert g.item() == pytest.approx(expected, rel=1e-9)


def test_groups_are_those_that_copy_each_other():
    """Columns 0, 3, 4 follow one coin and 1, 2 another; 5 is alone, and 6 never changes."""
    coin, noise = coins(2000, 3), torch.rand(2000, 7, generator=generator("noise")) < 0.2
    level = coin[:, [0, 1, 1, 0, 0, 2, 2]] ^ noise.long()
    level[:, 6] = 1
    groups = dependent_groups(hot(level), 1e-4)
    assert {frozenset(g.tolist()) for g in groups} == {
        frozenset({0, 3, 4}), frozenset({1, 2}), frozenset({5}), frozenset({6})
    }  # fmt: skip


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("significance", [0.5, 0.1])
def test_independent_columns_are_called_dependent_as_rarely_as_promised(levels, significance):
    """How many of 400 pairs are joined is binomial."""
    level = torch.randint(levels, (1000, 800), generator=generator("pairs", levels))
    pairs = [hot(level[:, [i, i + 1]], levels) for i in range(0, 800, 2)]
    joined = sum(len(dependent_groups(pair, significance)) == 1 for pair in pairs)
    assert binomtest(joined, 400, significance).pvalue > 1e-3


def test_values_that_never_occur_are_no_degrees_of_freedom():
    """The same rows, whose entries could take five values and take two, have the same groups."""
    level = coins(500, 80, name="rows of two values")
    for significance in (0.3, 0.02):
        few, many = (dependent_groups(hot(level, n), significance) for n in (2, 5))
        assert [g.tolist() for g in few] == [g.tolist() for g in many]


@pytest.mark.parametrize(("significance", "dependent"), [(0.3, True), (1e-12, False)])
def test_significance_decides_whether_a_weak_dependence_is_kept(significance, dependent):
    """Columns that agree in 56 of 100 rows, of which many have a one in the first and few in the second."""
    first, noise = coins(1000, 1) & coins(1000, 1, name="rare"), coins(1000, 2, name="noise")
    follows = torch.rand(1000, generator=generator("follows")) < 0.12
    second = torch.where(follows, first[:, 0], noise[:, 0] | noise[:, 1])
    x = torch.stack([first[:, 0], second], 1).float()
    spec = DataSpec("pair", "", (2,), Support.BINARY)
    p = learned(spec, x, min_rows=500, significance=significance).log_prob(every_datum(spec))
    p = p.double().exp().view(2, 2)
    torch.testing.assert_close(p.sum(1)[1], x[:, 0].double().mean(), atol=2e-3, rtol=0)
    torch.testing.assert_close(p.sum(0)[1], x[:, 1].double().mean(), atol=2e-3, rtol=0)
    apart = (p - p.sum(1, keepdim=True) * p.sum(0)).abs().max().item()
    assert apart > 5e-3 if dependent else apart < 1e-6


def test_a_product_of_independent_groups_is_found():
    """The network's probabilities are products of those of its two halves."""
    coin = coins(4000, 2)
    noise = torch.rand(4000, 6, generator=generator("flips")) < 0.15
    x = (coin[:, [0, 0, 0, 1, 1, 1]] ^ noise.long()).float()
    spec = DataSpec("halves", "", (6,), Support.BINARY)
    states = every_datum(spec)
    p = learned(spec, x, min_rows=500).log_prob(states).double().exp().view(8, 8)
    torch.testing.assert_close(p, p.sum(1, keepdim=True) * p.sum(0), atol=1e-7, rtol=0)


# --------------------------------------------------------------------------------------------- rows


def test_two_kinds_of_rows_are_told_apart():
    kind = coins(1000, 1).bool()
    p = torch.where(kind, 0.9, 0.1)
    level = (torch.rand(1000, 12, generator=generator("rows")) < p).long()
    with scope("clusters"):
        first, second = two_clusters(hot(level), 0.5)
    assert bool((first ^ second).all())
    agree = (first == kind[:, 0]).float().mean().item()
    assert max(agree, 1 - agree) > 0.99


def test_rows_that_are_all_alike_are_not_split_for_ever():
    x = torch.ones(600, 10)
    model = learned(BITS, x, significance=0.999999)
    assert model.log_prob(x[:1]).item() > -0.1


# ------------------------------------------------------------------------------------------- leaves


@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_a_network_of_one_leaf_is_the_chow_liu_tree(spec):
    """genlab's own, which is computed without any network."""
    x, states = some_data(spec), every_datum(spec)
    tree = ChowLiu(spec, smoothing=0.3)
    with torch.no_grad():
        tree.solve([Batch(x)])
    model = learned(spec, min_rows=10_000, smoothing=0.3)
    torch.testing.assert_close(model.log_prob(states), tree.log_prob(states), atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_spanning_tree_is_the_best_of_all(size):
    weight = torch.rand(size, size, generator=generator("weights", size)).double().numpy()
    weight = weight + weight.T
    parent, order = spanning_tree(weight)
    ours = sum(weight[parent[d], d] for d in order[1:])
    assert sorted(order) == list(range(size))
    assert all(list(order).index(parent[d]) < list(order).index(d) for d in order[1:])
    edges = list(itertools.combinations(range(size), 2))
    best = max(
        (sum(weight[a, b] for a, b in tree) for tree in itertools.combinations(edges, size - 1)
         if _spans(tree, size)), default=0.0,
    )  # fmt: skip
    assert ours == pytest.approx(best)


def _spans(tree: tuple[tuple[int, int], ...], size: int) -> bool:
    reached = {0}
    for _ in range(size):
        reached |= {v for edge in tree for v in edge if reached & set(edge)}
    return len(reached) == size


def test_columns_without_dependence_have_a_tree_too():
    _, order = spanning_tree(np.zeros((4, 4)))
    assert sorted(order) == [0, 1, 2, 3]


# ------------------------------------------------------------------------------------------- whole


def test_splits_fit_the_training_data_better_than_one_tree():
    x = some_data(BITS)
    nats = [learned(min_rows=n).log_prob(x).mean().item() for n in (10_000, 100)]
    assert nats[1] > nats[0] + 0.2


def test_the_seed_decides_the_network():
    states = every_datum(BITS)
    a, b, c = (learned(seed=seed, networks=2).log_prob(states) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_mixture_of_networks_is_the_mean_of_their_probabilities():
    """With trees at once the only difference between networks is which rows they saw."""
    x, states = some_data(BITS), every_datum(BITS)
    with scope("learn", 0):
        rows = [torch.randint(len(x), (len(x),)) for _ in range(3)]
    each = [learned(BITS, x[r], min_rows=10_000).log_prob(states).double().exp() for r in rows]
    mixed = learned(min_rows=10_000, networks=3).log_prob(states).double().exp()
    torch.testing.assert_close(mixed, torch.stack(each).mean(0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_em_never_lowers_the_likelihood(spec):
    model, x = learned(spec, min_rows=60), some_data(spec)
    path = []
    for _ in range(15):
        path.append(model.log_prob(x).double().mean().item())
        model.maximise([Batch(part) for part in x.chunk(4)], smoothing=0)
    assert np.diff(path).min() > -1e-6
    assert path[-1] > path[0] + 0.005


def test_em_smooths_what_was_never_seen():
    """Constant columns are independent; half a count is added to each value."""
    x = torch.zeros(200, 10)
    model = learned(BITS, x)
    model.maximise([Batch(x)], smoothing=1.0)
    found = model.log_prob(torch.cat([x[:1], torch.ones(1, 10)]))
    expected = 10 * torch.tensor([200.5 / 201, 0.5 / 201]).log()
    torch.testing.assert_close(found, expected)


def test_a_sweep_is_an_em_step_with_the_smoothing_of_the_splits():
    model, x = learned(sweeps=3, smoothing=0.7), some_data(BITS)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        model.sweep([Batch(x)])
    for _ in range(3):
        twin.maximise([Batch(x)], smoothing=0.7)
    assert torch.equal(model.circuit.logits, twin.circuit.logits)


def test_stages_follow_refine():
    names = {r: [s.name for s in LearnedSPN(BITS, refine=r).stages()] for r in ("none", "em")}
    assert names == {"none": ["learn"], "em": ["learn", "refine"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_rows": 0}, "model.min_rows=0 must be greater than 0"),
        ({"significance": 0.0}, "model.significance=0 must be between 0 and 1"),
        ({"significance": 1.0}, "model.significance=1 must be"),
        ({"smoothing": 0.0}, "model.smoothing=0 must be"),
        ({"smoothing": math.inf}, "model.smoothing=inf must be greater than 0, and finite"),
        ({"networks": 0}, "model.networks=0 must be"),
        ({"sweeps": 0}, "model.sweeps=0 must be"),
    ],
)
def test_options_that_make_no_network_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        LearnedSPN(BITS, **options)


def test_too_many_values_are_refused_before_they_are_counted():
    with pytest.raises(UnsupportedData, match="3072 entries of 256 values"):
        LearnedSPN(DataSpec("colours", "256 levels", (3, 32, 32), Support.LEVELS, levels=256))


def test_reals_are_refused():
    with pytest.raises(UnsupportedData, match="LearnedSPN takes BINARY or LEVELS data"):
        LearnedSPN(DataSpec("plane", "", (2,), Support.REAL))
