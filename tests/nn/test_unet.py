import pytest
import torch
from torch.nn import functional as F

from genlab.contracts import UnsupportedData, UsageError
from genlab.nn.unet import Attention, Block, UNet, Upsample


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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_attention_is_a_softmax_over_all_pixels(layout):
    """Written out pixel by pixel and head by head."""
    attention = shaken(Attention(64))
    h = torch.randn(2, 64, 3, 2).to(memory_format=layout)
    tokens = attention.norm(h).permute(0, 2, 3, 1).reshape(2, 6, 64)
    q, k, v = attention.qkv(tokens).chunk(3, -1)
    mixed = torch.zeros(2, 6, 64)
    for head in (slice(0, 32), slice(32, 64)):
        weight = (q[..., head] @ k[..., head].mT / 32**0.5).softmax(-1)
        mixed[..., head] = weight @ v[..., head]
    expected = h + attention.out(mixed).view(2, 3, 2, 64).permute(0, 3, 1, 2)
    torch.testing.assert_close(attention(h), expected, atol=1e-4, rtol=1e-4)
    assert attention(h).is_contiguous(memory_format=layout)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (1, 3), (7, 2)])
def test_upsampling_is_nearest_neighbours_and_a_convolution(height, width):
    layer, h = Upsample(6), torch.randn(2, 6, height, width)
    larger = F.interpolate(h, scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(layer(h), layer.smooth(larger), atol=1e-5, rtol=1e-5)
    ours, theirs = (
        torch.autograd.grad(out.square().sum(), layer.smooth.weight)[0]
        for out in (layer(h), layer.smooth(larger))
    )
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


def test_channels_last_changes_the_layout_and_no_number():
    options = {"channels": (8, 8), "attention": (4,), "outputs": 2}
    plain, last = UNet((1, 8, 8), **options), UNet((1, 8, 8), **options, channels_last=True)
    last.load_state_dict(shaken(plain).state_dict())
    x, u = torch.randn(3, 1, 8, 8), torch.tensor([0.0, 3.0, -2.0])
    torch.testing.assert_close(last(x, u), plain(x, u), atol=1e-4, rtol=1e-4)
    layouts = []
    last.middle.register_forward_hook(lambda *all: layouts.append(all[-1]))
    last(x, u)
    assert layouts[0].is_contiguous(memory_format=torch.channels_last)


def test_channels_last_is_refused_in_half_precision_on_a_cpu():
    net = UNet((1, 8, 8), channels=(8,), channels_last=True)
    net.refuse_half("cuda")
    UNet((1, 8, 8), channels=(8,)).refuse_half("cpu")
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(UsageError, match=r"trainer\.precision=32-true"),
    ):
        net(torch.zeros(1, 1, 8, 8), torch.zeros(1))


def test_first_weights_are_those_of_the_scheme():
    net = UNet((1, 8, 8), channels=(8, 8), init="orthogonal")
    weight = net.middle.first[-1].weight.flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(8))
    assert (net(torch.randn(2, 1, 8, 8), torch.zeros(2)) == 0).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"channels": ()}, r"^channels=\[\] must be one or more"),
        ({"channels": (8, 0)}, r"^channels=\[8, 0\] must be one or more numbers of at least 1"),
        ({"blocks": 0}, "^blocks=0 must be at least 1"),
        ({"dropout": 2.0}, r"^dropout=2.0 must be in \[0, 1\)"),
        ({"attention": (5,)}, r"^attention=\[5\].* have heights 8, 4: choose"),
        ({"attention": (4, 2)}, r"^attention=\[4, 2\].* have heights 8, 4: choose"),
        ({"attention": (8,), "space_to_depth": True}, r"^attention=\[8\].* have heights 4, 2"),
    ],
)
def test_values_out_of_range_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        UNet((1, 8, 8), **options)


@pytest.mark.parametrize(("channels", "heads"), [(8, 1), (48, 1), (64, 2), (100, 2), (97, 1)])
def test_heads_share_the_channels_evenly(channels, heads):
    attention = Attention(channels)
    assert attention.heads == heads
    assert attention(torch.randn(1, channels, 2, 2)).shape == (1, channels, 2, 2)


def test_sizes_that_cannot_be_halved_are_refused_with_sizes_that_work():
    with pytest.raises(UsageError, match=r"28x28.*24, 32"):
        UNet((1, 28, 28), channels=(8, 8, 8, 8))
    with pytest.raises(UsageError, match="divides images by 4"):
        UNet((1, 6, 6), channels=(8, 8), space_to_depth=True)
    with pytest.raises(UnsupportedData, match="MLP"):
        UNet((2,))
