"""The trunks for flat data: what they start as, and that everything that they are told has influence."""

import math
from functools import partial

import pytest
import torch

from genlab.contracts import UsageError
from genlab.models.diffusion import Dense, DenseNet, ResNet
from genlab.models.diffusion.networks import ResidualBlock

NETWORKS = {
    "dense": partial(Dense, hidden=(16, 16), dropout=0.0),
    "resnet": partial(ResNet, width=16, blocks=2, dropout=0.0),
    "densenet": partial(DenseNet, width=16, blocks=3, growth=4, dropout=0.0),
}
every = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def shaken(network):
    """The network away from its initialisation, where zeros hide faults."""
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn(p.shape))
    return network


@every
def test_zero_at_initialisation(make):
    network = make((2, 3), 4, classes=5)
    out = network(torch.randn(6, 2, 3), torch.linspace(-5, 5, 6), torch.arange(6) % 5)
    assert out.shape == (6, 2, 3, 4)
    assert (out == 0).all()


@every
def test_every_entry_reaches_every_output_and_every_weight_learns(make):
    network = shaken(make((2, 3), 2, classes=3, fourier=(1,)))
    z = torch.randn(1, 2, 3)
    reach = torch.autograd.functional.jacobian(
        lambda z: network(z, torch.tensor([0.5]), torch.tensor([1])).flatten(), z
    )
    assert reach.shape == (12, 1, 2, 3)
    assert (reach != 0).all()
    network(z, torch.tensor([0.5]), torch.tensor([1])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@every
def test_time_and_label_have_influence_and_no_label_is_the_extra_one(make):
    network = shaken(make((4,), classes=3))
    z, here = torch.randn(2, 4), torch.zeros(2)
    told = network(z, here, torch.tensor([0, 2]))
    assert not torch.allclose(told, network(z, here + 1, torch.tensor([0, 2])))
    assert not torch.allclose(told, network(z, here, torch.tensor([1, 1])))
    torch.testing.assert_close(network(z, here), network(z, here, torch.tensor([3, 3])))


@every
def test_a_datum_does_not_see_the_others_of_its_batch(make):
    network = shaken(make((4,))).train()
    z, log_snr = torch.randn(5, 4), torch.linspace(-4, 4, 5)
    torch.testing.assert_close(network(z, log_snr)[:2], network(z[:2], log_snr[:2]))


@every
def test_first_weights_are_those_of_the_scheme(make):
    network = make((20,), init="orthogonal")
    weight = network.of_z.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(16))
    assert (network(torch.randn(3, 20), torch.zeros(3)) == 0).all()
    with pytest.raises(UsageError, match="xavier, he, orthogonal"):
        make((2,), init="glorot")


def test_residual_blocks_start_as_the_identity():
    h = torch.randn(3, 16)
    assert torch.equal(ResidualBlock(16, "silu", 0.0)(h), h)
    network = ResNet((4,), width=16, blocks=7, dropout=0.0)
    assert torch.equal(network.blocks(h), h)


def test_a_residual_block_adds_what_its_normalised_layers_say():
    """By hand: h + W₂ s(n(W₁ s(n(h)) + b₁)) + b₂ with s = tanh, and n with mean 0 and variance 1."""
    block = shaken(ResidualBlock(6, "tanh", 0.0))
    n1, _, first, n2, _, _, second = block.inner

    def normal(h, layer):
        centred = h - h.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        return scaled * layer.weight + layer.bias

    h = torch.randn(3, 6)
    inner = normal(h, n1).tanh() @ first.weight.T + first.bias
    expected = h + normal(inner, n2).tanh() @ second.weight.T + second.bias
    torch.testing.assert_close(block(h), expected)


def test_dense_connections_are_counted():
    """L layers have L (L + 1) / 2 connections with each other and the output, beside the first units."""
    width, blocks, growth = 8, 4, 3
    network = shaken(DenseNet((2,), 1, width=width, blocks=blocks, growth=growth, dropout=0.0))
    seen = [layer[-1].in_features for layer in [*network.layers, network.leave]]
    assert seen == [width + i * growth for i in range(blocks + 1)]
    connections = sum((inputs - width) // growth for inputs in seen)
    assert connections == blocks * (blocks + 1) // 2
    for i in range(
        blocks
    ):  # what a layer says reaches the output though all layers after it are silent
        alone = DenseNet((2,), 1, width=width, blocks=blocks, growth=growth, dropout=0.0)
        alone.load_state_dict(network.state_dict())
        for layer in alone.layers[i + 1 :]:
            layer[-1].weight.data.zero_()
        z = torch.randn(2, 2)
        before = alone(z, torch.zeros(2))
        alone.layers[i][-1].bias.data += torch.linspace(0, 1, growth)
        assert not torch.allclose(before, alone(z, torch.zeros(2)))


@pytest.mark.parametrize(("levels", "n"), [(17, 3), (257, 7)])
def test_fourier_features_tell_neighbouring_levels_apart(levels, n):
    """cos(2^n π y) is ±1 in turn on levels 2/(L-1) apart with n = log2((L-1)/2): their finest bit."""
    network = Dense((1,), fourier=(n, n - 1))
    y = torch.linspace(-1, 1, levels).unsqueeze(1)
    z, _, sin, fine, coarse = network._waves(y).T
    torch.testing.assert_close(z, y[:, 0])
    torch.testing.assert_close(sin, (2 ** (n - 1) * math.pi * y[:, 0]).sin(), atol=1e-3, rtol=0)
    sign = (-1.0) ** torch.arange(levels)
    torch.testing.assert_close(fine.abs(), torch.ones(levels), atol=1e-3, rtol=0)
    torch.testing.assert_close(fine, sign * fine[0].sign(), atol=1e-3, rtol=0)
    torch.testing.assert_close(coarse[1::2], torch.zeros(levels // 2), atol=1e-3, rtol=0)


def test_sizes_out_of_range_are_refused():
    with pytest.raises(UsageError, match="blocks=0"):
        ResNet((2,), blocks=0)
    with pytest.raises(UsageError, match="growth=0"):
        DenseNet((2,), growth=0)
