"""The window of DRAW: a grid of N × N Gaussian filters, wherever the decoder puts it and as wide as it
wants.

For a picture of height A and width B and its pixels a = 1 … A, b = 1 … B, five numbers of the decoder
give the centre, the width of the filters, the stride between them and an intensity (equations 21 to 26
of the paper):

    g_X = (B + 1)/2 · (g̃_X + 1),   g_Y = (A + 1)/2 · (g̃_Y + 1),   δ = (max(A, B) − 1)/(N − 1) · δ̃,
    μ_i = g + (i − N/2 − ½) δ,      F[i, a] ∝ exp(−(a − μ_i)²/2σ²),  with rows that sum to one.

Reading is γ F_Y x F_Xᵀ, writing 1/γ F_Yᵀ w F_X. The rows are a softmax over pixels, which is what the
formula says: they sum to one wherever the window is, even where every weight would vanish in float32,
far outside.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

NUMBERS = 5  # that a window is made of
LOG_RANGE = 6.0  # of log σ, log δ̃ and log γ: within e^±6


class Window(NamedTuple):
    """rows: (B, N, A) and columns: (B, N, W), the filters. gamma: (B,).

    centre, stride and sigma in pixels, the first being pixel 1: (B, 2) as (y, x), (B,) and (B,).
    """

    rows: Tensor
    columns: Tensor
    gamma: Tensor
    centre: Tensor
    stride: Tensor
    sigma: Tensor

    def read(self, images: Tensor) -> Tensor:
        """(B, C, N, N) what is seen of images: (B, C, A, W)."""
        seen = self.rows.unsqueeze(1) @ images @ self.columns.mT.unsqueeze(1)
        return seen * self.gamma.view(-1, 1, 1, 1)

    def write(self, patch: Tensor) -> Tensor:
        """(B, C, A, W) what is painted of a patch: (B, C, N, N)."""
        painted = self.rows.mT.unsqueeze(1) @ patch @ self.columns.unsqueeze(1)
        return painted / self.gamma.view(-1, 1, 1, 1)


def window(numbers: Tensor, n: int, height: int, width: int) -> Window:
    """numbers: (B, 5): g̃_X, g̃_Y, log σ², log δ̃ and log γ, in float32 at least."""
    numbers = numbers.to(torch.promote_types(numbers.dtype, torch.float32))
    x, y, log_variance, log_stride, log_gamma = numbers.unbind(1)
    log_variance, log_stride, log_gamma = (
        each.clamp(-LOG_RANGE, LOG_RANGE) for each in (log_variance, log_stride, log_gamma)
    )
    centre = torch.stack([(height + 1) / 2 * (y + 1), (width + 1) / 2 * (x + 1)], dim=1)
    stride = (max(height, width) - 1) / max(n - 1, 1) * log_stride.exp()
    variance = log_variance.exp()
    rows = filters(centre[:, 0], stride, variance, n, height)
    columns = filters(centre[:, 1], stride, variance, n, width)
    return Window(rows, columns, log_gamma.exp(), centre, stride, variance.sqrt())


def filters(centre: Tensor, stride: Tensor, variance: Tensor, n: int, size: int) -> Tensor:
    """(B, n, size), each row of which sums to one; centre, stride, variance: (B,)."""
    place = torch.arange(1, n + 1, device=centre.device) - n / 2 - 0.5
    mean = centre.unsqueeze(1) + place * stride.unsqueeze(1)
    pixel = torch.arange(1, size + 1, device=centre.device)
    distance = (pixel - mean.unsqueeze(2)).square() / variance.view(-1, 1, 1)
    return (distance / -2).softmax(2)


def wide(n: int, height: int, width: int) -> Tensor:
    """(5,) numbers of a window in the middle that sees most of a picture.

    N filters reach over N/(N + 2) of it and are an eighth of it wide. A narrow window in the middle of a
    picture, or a few points far apart, see nothing that changes with the picture, and learning does not
    start.
    """
    log_variance = 2 * math.log(max(height, width) / 8)
    return torch.tensor([0.0, 0.0, log_variance, math.log(n / (n + 2)), 0.0])
