"""A small U-Net for images that also sees a scalar, such as the log-SNR of a diffusion.

Resolutions are halved and doubled again, with a skip connection from each block on the way down to its
partner on the way up (Ronneberger, Fischer, Brox 2015, "U-Net", arXiv 1505.04597; with time embedding
and attention as in Ho, Jain, Abbeel 2020, "Denoising Diffusion Probabilistic Models", arXiv 2006.11239).
Each residual block is h + f(h): GroupNorm, SiLU, convolution, twice, normalisation first (He et al.
2016, "Identity Mappings in Deep Residual Networks", arXiv 1603.05027). The last convolution of each
block and of the network are zero at initialisation, so that a block starts as the identity and the
network as zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.contracts import UnsupportedData, UsageError
from genlab.nn.embedding import FourierFeatures, LabelEmbedding
from genlab.nn.initialisation import Scheme, initialise, zeroed
from genlab.nn.precision import NeedsFloat32
from genlab.ranges import at_least, below_one, one_or_more


class UNet(nn.Module, NeedsFloat32):
    """x: (B, C, H, W), u: (B,) and, of data with classes, label: (B,) to (B, C, H, W, outputs).

    shape: (C, H, W); H and W must survive the halvings, else UsageError says which sizes do.
    channels: of each resolution; one halving between two entries.
    blocks: residual blocks per resolution. attention: heights of feature maps that get self-attention;
    UsageError says which heights there are.
    space_to_depth: treat 2x2 patches as channels, which makes the network about 4 times cheaper.
    init: how the first weights are drawn (``nn.initialisation``); None: as torch does, uniformly
    with variance 1 / (3 fan_in).
    channels_last: keep the channels of a pixel side by side in memory. On a CPU that is for float32
    alone: under autocast it is slower, and UsageError says so.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int = 1,
        channels: tuple[int, ...] = (32, 64),
        blocks: int = 1,
        attention: tuple[int, ...] = (),
        dropout: float = 0.0,
        space_to_depth: bool = False,
        classes: int = 0,
        init: Scheme | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        one_or_more(1, channels=channels)
        at_least(1, blocks=blocks)
        below_one(dropout=dropout)
        self.channels_last = channels_last
        self.patch = 2 if space_to_depth else 1
        height = _check_sizes(shape, self.patch * 2 ** (len(channels) - 1)) // self.patch
        _check_attention(attention, [height // 2**level for level in range(len(channels))])
        self.outputs, inner = outputs, shape[0] * self.patch**2
        width = 4 * channels[0]
        self.embed = nn.Sequential(
            features := FourierFeatures(), nn.Linear(features.features, width), nn.SiLU()
        )
        self.of_label = LabelEmbedding(classes, width) if classes else None
        self.enter = nn.Conv2d(inner, channels[0], 3, padding=1)

        def block(before: int, after: int) -> Block:
            return Block(before, after, width, dropout, height in attention)

        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        c, skips = channels[0], [channels[0]]
        for level, after in enumerate(channels):
            if level:
                self.down.append(nn.Conv2d(c, c, 3, stride=2, padding=1))
                skips.append(c)
                height //= 2
            for _ in range(blocks):
                self.down.append(block(c, after))
                skips.append(c := after)
        self.middle = block(c, c)
        for level, after in reversed(list(enumerate(channels))):
            for _ in range(blocks + 1):
                self.up.append(block(c + skips.pop(), after))
                c = after
            if level:
                self.up.append(Upsample(c))
                height *= 2
        self.leave = nn.Sequential(
            norm(c), nn.SiLU(), zeroed(nn.Conv2d(c, inner * outputs, 3, padding=1))
        )
        if init is not None:
            initialise(self, init)
        if channels_last:
            # convolutions with such weights give their outputs that layout too
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lacks it

    def forward(self, x: Tensor, u: Tensor, label: Tensor | None = None) -> Tensor:
        e = self.embed(u)
        if self.of_label is not None:
            e = e + self.of_label.of(label, len(x))
        if torch.is_autocast_enabled(x.device.type):
            self.refuse_half(x.device.type)
        h = self.enter(F.pixel_unshuffle(x, self.patch))
        skips = [h]
        for layer in self.down:
            h = layer(h, e) if isinstance(layer, Block) else layer(h)
            skips.append(h)
        h = self.middle(h, e)
        for layer in self.up:
            h = layer(torch.cat([h, skips.pop()], 1), e) if isinstance(layer, Block) else layer(h)
        h = F.pixel_shuffle(self.leave(h), self.patch)
        return h.unflatten(1, (x.shape[1], self.outputs)).movedim(2, -1)

    def refuse_half(self, device: str) -> None:
        if self.channels_last and device == "cpu":
            raise UsageError(
                "channels_last=true is slower in half precision on a CPU: "
                "leave it out, or use trainer.precision=32-true"
            )


class Block(nn.Module):
    """A residual block that is told the embedding e: (B, width), with attention where asked for."""

    def __init__(self, before: int, after: int, width: int, dropout: float, attends: bool) -> None:
        super().__init__()
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        self.first = nn.Sequential(norm(before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.shift = nn.Linear(width, after)
        self.second = nn.Sequential(
            norm(after),
            nn.SiLU(),
            nn.Dropout(dropout),
            zeroed(nn.Conv2d(after, after, 3, padding=1)),
        )
        self.attention = Attention(after) if attends else nn.Identity()

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        inner = self.first(h) + self.shift(e)[..., None, None]
        return self.attention(self.skip(h) + self.second(inner))


class Attention(nn.Module):
    """h + self-attention among the pixels of h: (B, C, H, W), a head for about 32 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = next(n for n in range(max(1, channels // 32), 0, -1) if channels % n == 0)
        self.norm, self.qkv = norm(channels), nn.Linear(channels, 3 * channels)
        self.out = zeroed(nn.Linear(channels, channels))

    def forward(self, h: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(h).flatten(2).transpose(1, 2)).unflatten(2, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return h + self.out(mixed).transpose(1, 2).unflatten(2, h.shape[2:])


class Upsample(nn.Module):
    """Twice the height and width: nearest neighbours, then a convolution.

    Both are linear, and one transposed convolution with stride 2 does what they do with 4/9 of the
    multiply-adds: its kernel, 4x4, is that of the convolution, turned round and smeared over 2x2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        kernel = F.pad(self.smooth.weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))
        kernel = kernel[..., 1:, :] + kernel[..., :-1, :]
        kernel = kernel[..., 1:] + kernel[..., :-1]
        return F.conv_transpose2d(h, kernel, self.smooth.bias, stride=2, padding=1)


def norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with up to 8 groups, as many as divide the channels."""
    return nn.GroupNorm(math.gcd(8, channels), channels)


def _check_attention(attention: tuple[int, ...], heights: list[int]) -> None:
    if not set(attention) <= set(heights):
        raise UsageError(
            f"attention={list(attention)}: the feature maps of this U-Net have heights "
            f"{', '.join(map(str, heights))}: choose among these"
        )


def _check_sizes(shape: tuple[int, ...], multiple: int) -> int:
    """The height, if height and width are multiples of ``multiple``."""
    if len(shape) != 3:
        raise UnsupportedData(
            f"a U-Net needs images (C, H, W), not data of shape {shape}; use an MLP for these"
        )
    if any(n % multiple for n in shape[1:]):
        below, above = max(1, min(shape[1:]) // multiple), max(shape[1:]) // multiple + 1
        raise UsageError(
            f"this U-Net divides images by {multiple}, which {shape[1]}x{shape[2]} does not allow; "
            f"sizes that work: {', '.join(str(multiple * n) for n in range(below, above + 1))}; "
            "or give fewer channels=(…), which makes fewer halvings"
        )
    return shape[1]
