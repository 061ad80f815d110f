import pytest
import torch

from genlab.contracts import UnsupportedData, UsageError
from genlab.nn.unet import Attention, Block, UNet


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module away from its initialisation, where zeros hide faults."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return module


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 8, 8), {}),
        ((3, 8, 4), {"outputs": 5, "blocks": 1}),
        ((1, 28, 28), {"channels": (8, 8, 8), "attention": (7,), "blocks": 1}),
        ((1, 28, 28), {"channels": (8, 12), "space_to_depth": True, "dropout": 0.1}),
    ],
)
def test_shapes_and_gradients_of_every_parameter(shape, options):
    net = shaken(UNet(shape, **options))
    out = net(torch.randn(2, *shape), torch.tensor([0.0, 3.0]))
    assert out.shape == (2, *shape, options.get("outputs", 1))
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_zero_at_initialisation_and_blocks_start_as_the_identity():
    net = UNet((1, 8, 8), channels=(8, 8), blocks=2, attention=(4,))
    assert (net(torch.randn(2, 1, 8, 8), torch.zeros(2)) == 0).all()
    h = torch.randn(2, 8, 4, 4)
    assert torch.equal(Block(8, 8, 16, 0.0, attends=True)(h, torch.randn(2, 16)), h)


def test_outputs_belong_to_their_own_channel():
    """With space_to_depth the network's channels are undone in the right order."""
    for space_to_depth in (False, True):
        net = UNet((2, 4, 4), outputs=3, channels=(4,), space_to_depth=space_to_depth)
        last = net.leave[-1]
        patch = 4 if space_to_depth else 1
        last.bias.data = torch.arange(2 * 3).repeat_interleave(patch).float()
        out = net(torch.randn(1, 2, 4, 4), torch.zeros(1))
        assert (out == torch.arange(6.0).view(2, 1, 1, 3)).all()


def test_attention_is_where_it_was_asked_for():
    net = UNet((1, 8, 8), channels=(8, 8), blocks=2, attention=(4,))
    attends = [
        isinstance(m.attention, Attention)
        for m in [*net.down, net.middle, *net.up]
        if isinstance(m, Block)
    ]
    assert attends == [False] * 2 + [True] * 6 + [False] * 3


def test_sizes_that_cannot_be_halved_are_refused_with_sizes_that_work():
    with pytest.raises(UsageError, match=r"28x28.*24, 32"):
        UNet((1, 28, 28), channels=(8, 8, 8, 8))
    with pytest.raises(UsageError, match="divides images by 4"):
        UNet((1, 6, 6), channels=(8, 8), space_to_depth=True)
    with pytest.raises(UnsupportedData, match="MLP"):
        UNet((2,))
