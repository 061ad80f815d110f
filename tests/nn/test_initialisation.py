"""First weights against what the papers say of their variance, and orthonormal where that is promised."""

import pytest
import torch
from torch import nn

from genlab.contracts import UsageError
from genlab.nn.initialisation import initialise, zeroed


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [
        (nn.Linear(300, 500), 300, 500),
        (nn.Conv2d(40, 60, 3), 40 * 9, 60 * 9),
        (nn.Conv2d(200, 300, 1), 200, 300),
    ],
)
def test_variances(layer, fan_in, fan_out):
    for scheme, variance in (("xavier", 2 / (fan_in + fan_out)), ("he", 2 / fan_in)):
        initialise(layer, scheme)
        assert layer.weight.var().item() == pytest.approx(variance, rel=0.03)
        assert abs(layer.weight.mean().item()) < 0.02 * variance**0.5
    initialise(layer, "xavier")
    assert layer.weight.abs().max() <= (6 / (fan_in + fan_out)) ** 0.5  # uniform


def test_he_keeps_the_mean_square_of_signals_through_many_rectified_layers():
    layers = [nn.Sequential(nn.ReLU(), nn.Linear(400, 400, bias=False)) for _ in range(20)]
    deep = nn.Sequential(nn.Linear(400, 400, bias=False), *layers)
    x = torch.randn(200, 400)
    initialise(deep, "he")
    assert 1 < deep(x).square().mean() < 4  # 2: the first layer doubles, as no rectifier halves
    initialise(deep, "xavier")
    assert deep(x).square().mean() < 1e-5


@pytest.mark.parametrize("layer", [nn.Linear(8, 5), nn.Linear(5, 8), nn.Conv2d(3, 10, 3)])
def test_orthogonal_weights_are_orthonormal_along_the_shorter_side(layer):
    initialise(layer, "orthogonal")
    w = layer.weight.flatten(1)
    w = w if len(w) <= w.shape[1] else w.T
    torch.testing.assert_close(w @ w.T, torch.eye(len(w)))


def test_zeros_biases_and_everything_else_stay():
    net = nn.Sequential(
        nn.Linear(4, 4), nn.LayerNorm(4), nn.Embedding(3, 4), zeroed(nn.Linear(4, 2))
    )
    before = {name: value.clone() for name, value in net.state_dict().items()}
    initialise(net, "orthogonal")
    changed = {n for n, v in net.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"0.weight"}
    assert (net[3].weight == 0).all()
    assert (net[3].bias == 0).all()


def test_an_unknown_scheme_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"init=glorot.*xavier, he, orthogonal"):
        initialise(nn.Linear(2, 2), "glorot")  # type: ignore[arg-type]
