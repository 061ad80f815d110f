"""The exact baselines against enumeration, scipy's spanning tree and published values."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor

from genlab.contracts import Batch, DataModule, DataSpec, Observed, Support, UsageError
from genlab.data import binarized_mnist, debd, nade_uci
from genlab.models.chow_liu import ChowLiu, maximum_spanning_tree, mutual_information
from genlab.models.independent import Independent
from genlab.nn.independent import Gaussian
from genlab.randomness import generator

BITS = DataSpec("bits", "made up", (7,), Support.BINARY)
GREYS = DataSpec("greys", "3 levels", (1, 2, 2), Support.LEVELS, levels=3)
PLANE = DataSpec("plane", "standardised", (2,), Support.REAL)


def some_data(spec: DataSpec, n: int = 500) -> Tensor:
    """(n, *shape): every entry follows an earlier one most of the time."""
    stream = generator("baselines", spec.name)
    assert spec.levels is not None
    x = torch.randint(spec.levels, (n, spec.size), generator=stream)
    for d in range(1, spec.size):
        follows = torch.rand(n, generator=stream) < 0.7
        x[:, d] = torch.where(follows, x[:, d // 2], x[:, d])
    return x.float().div(spec.levels - 1).view(n, *spec.shape)


def solved(model, x: Tensor, parts: int = 3):
    with torch.no_grad():
        model.solve([Batch(part) for part in x.chunk(parts)])
    return model.eval()


def every_datum(spec: DataSpec) -> Tensor:
    assert spec.levels is not None
    states = itertools.product(range(spec.levels), repeat=spec.size)
    return torch.tensor(list(states)).float().div(spec.levels - 1).view(-1, *spec.shape)


@pytest.mark.parametrize("spec", [BITS, GREYS])
@pytest.mark.parametrize("build", [Independent, ChowLiu])
def test_probabilities_sum_to_one(build, spec):
    model = solved(build(spec), some_data(spec))
    assert model.log_prob(every_datum(spec)).double().exp().sum().item() == pytest.approx(
        1, abs=1e-5
    )


@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_marginals_of_the_tree_are_those_of_the_independent_model(spec):
    """Both add half a count to each value of an entry."""
    x, states = some_data(spec), every_datum(spec)
    tree, alone = (solved(build(spec), x).log_prob(states) for build in (ChowLiu, Independent))
    assert not torch.allclose(tree, alone, atol=0.1)
    for value in states.unique():
        holds = (states == value).flatten(1).double()
        p, q = (log_p.double().exp() @ holds for log_p in (tree, alone))
        torch.testing.assert_close(p, q, atol=1e-6, rtol=0)


@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_the_tree_fits_its_training_data_better(spec):
    x = some_data(spec)
    tree, alone = (solved(build(spec), x).log_prob(x).mean() for build in (ChowLiu, Independent))
    assert tree > alone + 0.5


@pytest.mark.parametrize("size", [1, 2, 3, 30])
def test_the_spanning_tree_is_scipys(size):
    weight = torch.rand(size, size, generator=generator("weights", size), dtype=torch.float64)
    weight = weight + weight.T + 0.1
    parent, order = maximum_spanning_tree(weight)
    ours = {frozenset((d, int(p))) for d, p in enumerate(parent.tolist()) if d != p}
    theirs = minimum_spanning_tree(-torch.triu(weight, diagonal=1).numpy()).nonzero()
    assert ours == {frozenset((int(a), int(b))) for a, b in zip(*theirs, strict=True)}
    place = order.argsort()
    assert sorted(order.tolist()) == list(range(size))
    assert all(place[parent[d]] < place[d] for d in range(size) if parent[d] != d)


def test_mutual_information_is_the_divergence_from_independence():
    """Σ p(a, b) log p(a, b) / (p(a) p(b)) of smoothed counts, entry by entry."""
    x = some_data(GREYS, 50)
    joint = ChowLiu(GREYS, smoothing=0.3)._joint([Batch(x)])
    found, level = mutual_information(joint), (x.flatten(1) * 2).long()
    for c, d in itertools.permutations(range(4), 2):
        n = torch.full((3, 3), 0.1, dtype=torch.float64)
        for a, b in level[:, [c, d]].tolist():
            n[a, b] += 1
        p = n / 50.9
        expected = (p * (p / (p.sum(1, keepdim=True) * p.sum(0))).log()).sum()
        assert found[c, d].item() == pytest.approx(expected.item(), abs=1e-12)


def test_a_chain_is_found():
    """x_d copies x_(d-1) nine times in ten: the tree is the chain, its conditionals 0.9 and 0.1."""
    stream = generator("chain")
    x = torch.randint(2, (20_000, 6), generator=stream)
    for d in range(1, 6):
        keep = torch.rand(len(x), generator=stream) < 0.9
        x[:, d] = torch.where(keep, x[:, d - 1], 1 - x[:, d - 1])
    spec = DataSpec("chain", "", (6,), Support.BINARY)
    model = solved(ChowLiu(spec), x.float())
    assert model.parent.tolist() == [0, 0, 1, 2, 3, 4]
    p = model._log_p().exp()[1:]
    torch.testing.assert_close(
        p, torch.tensor([[0.9, 0.1], [0.1, 0.9]]).expand_as(p), atol=0.01, rtol=0
    )


@pytest.mark.parametrize("spec", [BITS, GREYS])
def test_beliefs_are_the_probability_of_the_evidence(spec):
    """Summed over the root they are p(what is observed), which enumeration gives too."""
    model, states = solved(ChowLiu(spec), some_data(spec)), every_datum(spec)
    x = states[:: len(states) // 6]
    mask = torch.rand(x.shape, generator=generator("mask")) < 0.5
    belief = model._beliefs(model._level(x), mask.flatten(1))
    root = int(model.order[0])
    found = (model._log_p()[root, 0] + belief[:, root]).logsumexp(1)
    agrees = Observed(x, mask).log_r(states[:, None]) == 0  # (S, B)
    log_p = model.log_prob(states)
    expected = torch.stack([log_p[agrees[:, b]].logsumexp(0) for b in range(len(x))])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_reals_have_their_gaussians():
    stream = generator("plane")
    x = torch.randn(400, 2, generator=stream) * torch.tensor([0.5, 3.0]) + torch.tensor([1.0, -2.0])
    model = solved(Independent(PLANE), x)
    normal = torch.distributions.Normal(x.mean(0), x.std(0, correction=0))
    torch.testing.assert_close(model.log_prob(x), normal.log_prob(x).sum(1))
    u = torch.tensor([0.0, 0.3, 0.99]).view(3, 1).expand(3, 2)
    quantile = Gaussian().quantile(u, model._theta(3))
    assert quantile.isfinite().all()
    torch.testing.assert_close(quantile[1:], normal.icdf(u[1:]).detach(), atol=1e-4, rtol=0)


def test_completions_of_the_tree_keep_to_one_generator():
    """The same stream gives the same draws, and a row does not depend on the others' evidence."""
    model, x = solved(ChowLiu(BITS), some_data(BITS)), some_data(BITS)[:4]
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[:, :3] = True
    draws = [model.complete(Observed(x, mask), 5, generator=generator("c")) for _ in range(2)]
    assert torch.equal(*draws)
    mask[1:] = False
    other = model.complete(Observed(x, mask), 5, generator=generator("c"))
    assert torch.equal(draws[0][:, 0], other[:, 0])


def test_too_many_values_are_refused_before_they_are_counted():
    with pytest.raises(UsageError, match="3072 entries of 256 values"):
        ChowLiu(DataSpec("colours", "256 levels", (3, 32, 32), Support.LEVELS, levels=256))


# ------------------------------------------------------------------------------------ known answers

needs_files = pytest.mark.skipif(
    not os.environ.get("GENLAB_DATA"),
    reason="GENLAB_DATA is unset: it names the folder of data files",
)


def score(model, data: DataModule) -> float:
    train, test = data.dataset("train"), data.dataset("test")
    solved(model, train[torch.arange(len(train))].x)
    return model.log_prob(test[torch.arange(len(test))].x).double().mean().item()


@needs_files
@pytest.mark.parametrize(
    ("data", "independent", "tree"),
    [
        (lambda: debd("nltcs"), -9.234, -6.759),
        (lambda: debd("plants"), -31.266, -16.524),
        (lambda: debd("bnetflix"), -64.561, -60.250),
        (lambda: debd("accidents"), -45.560, -33.187),
        (lambda: debd("dna"), -100.386, -87.662),
        (lambda: nade_uci("mushrooms"), -34.23, -20.96),
    ],
    ids=["nltcs", "plants", "bnetflix", "accidents", "dna", "mushrooms"],
)
def test_published_tables(data, independent, tree):
    made = data()
    assert score(Independent(made.spec), made) == pytest.approx(independent, abs=0.02)
    assert score(ChowLiu(made.spec), made) == pytest.approx(tree, abs=0.02)


@needs_files
def test_nips_depends_on_smoothing():
    """400 rows of 500 words: four counts reach the reference, half a count is 0.46 nats below."""
    data = nade_uci("nips-0-12")
    assert score(Independent(data.spec), data) == pytest.approx(-294.81, abs=0.02)
    assert score(ChowLiu(data.spec), data) == pytest.approx(-281.20, abs=0.02)
    assert score(ChowLiu(data.spec, smoothing=4), data) == pytest.approx(-280.74, abs=0.02)


@needs_files
def test_binarised_mnist():
    data = binarized_mnist()
    assert score(Independent(data.spec), data) == pytest.approx(-205.79, abs=0.02)


@needs_files
@pytest.mark.parametrize("name", ["nltcs", "dna"])
def test_smoothing_hardly_matters_where_there_are_many_rows(name):
    data = debd(name)
    nats = [score(ChowLiu(data.spec, smoothing=s), data) for s in (0.1, 1.0)]
    assert math.isclose(*nats, abs_tol=0.05)
    assert np.isfinite(nats).all()
