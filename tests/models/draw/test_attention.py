"""Windows of DRAW: filters against the formula of the paper, pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genlab.models.draw.attention import LOG_RANGE, wide, window

SHARP = -LOG_RANGE  # log σ² of filters that see one pixel


def numbers(
    x: float = 0.0, y: float = 0.0, variance: float = 0.0, stride: float = 0.0, gamma: float = 0.0
) -> Tensor:
    return torch.tensor([[x, y, variance, stride, gamma]], dtype=torch.float64)


def picture(channels: int, height: int, width: int) -> Tensor:
    return torch.rand(1, channels, height, width, dtype=torch.float64, generator=seeded())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("scale", [1.0, 10.0, 1000.0])
def test_rows_sum_to_one_wherever_the_window_is(scale):
    found = window(scale * torch.randn(50, 5, generator=seeded()), 4, 9, 7)
    for filters in (found.rows, found.columns):
        torch.testing.assert_close(filters.sum(2), torch.ones(50, 4))
        assert (filters >= 0).all()


def test_a_sharp_grid_of_all_pixels_is_the_picture():
    x = picture(2, 6, 6)
    whole = window(numbers(variance=SHARP), 6, 6, 6)
    assert whole.stride.item() == pytest.approx(1.0)
    torch.testing.assert_close(whole.read(x), x)
    torch.testing.assert_close(whole.write(x), x)


def by_hand(g: float, stride: float, variance: float, n: int, size: int) -> list[list[float]]:
    rows = []
    for i in range(1, n + 1):
        mean = g + (i - n / 2 - 0.5) * stride
        weights = [math.exp(-((a - mean) ** 2) / (2 * variance)) for a in range(1, size + 1)]
        rows.append([weight / sum(weights) for weight in weights])
    return rows


@pytest.mark.parametrize("n", [1, 2, 5])
def test_filters_are_those_of_the_formula(n):
    """On a picture that is no square, with the five numbers in the order of the paper."""
    height, width = 6, 9
    found = window(numbers(0.3, -0.4, 0.7, -0.2, 0.5), n, height, width)
    stride = (width - 1) / max(n - 1, 1) * math.exp(-0.2)
    g_x, g_y = (width + 1) / 2 * 1.3, (height + 1) / 2 * 0.6
    rows = torch.tensor(by_hand(g_y, stride, math.exp(0.7), n, height), dtype=torch.float64)
    columns = torch.tensor(by_hand(g_x, stride, math.exp(0.7), n, width), dtype=torch.float64)
    torch.testing.assert_close(found.rows[0], rows)
    torch.testing.assert_close(found.columns[0], columns)
    x = picture(1, height, width)
    torch.testing.assert_close(found.read(x)[0, 0], math.exp(0.5) * rows @ x[0, 0] @ columns.T)
    patch = picture(1, n, n)
    painted = math.exp(-0.5) * rows.T @ patch[0, 0] @ columns
    torch.testing.assert_close(found.write(patch)[0, 0], painted)


def test_pixels_are_counted_from_one():
    """A window of one sharp filter at the centre of pixel (2, 5) sees that pixel."""
    x = picture(1, 4, 7)
    y, across = 2 / ((4 + 1) / 2) - 1, 5 / ((7 + 1) / 2) - 1
    found = window(numbers(across, y, SHARP), 1, 4, 7)
    torch.testing.assert_close(found.read(x).squeeze(), x[0, 0, 1, 4])


def test_windows_of_a_batch_do_not_mix():
    many = torch.randn(5, 5, generator=seeded(), dtype=torch.float64)
    x = torch.rand(5, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    together = window(many, 3, 8, 8).read(x)
    for i in range(5):
        alone = window(many[i : i + 1], 3, 8, 8).read(x[i : i + 1])
        torch.testing.assert_close(together[i], alone[0])


def test_far_outside_the_gradient_is_finite():
    lost = (1e4 * torch.ones(1, 5)).requires_grad_()
    window(lost, 3, 8, 8).read(torch.rand(1, 1, 8, 8, generator=seeded())).sum().backward()
    assert lost.grad is not None
    assert lost.grad.isfinite().all()


@pytest.mark.parametrize(("n", "size"), [(2, 28), (5, 28), (2, 8), (3, 8), (5, 32)])
def test_the_first_window_sees_the_middle_half_of_a_picture(n, size):
    """Every pixel there has a good share of some filter: experiment 13 stays where it is with a narrow
    one.
    """
    first = window(wide(n, size, size).unsqueeze(0), n, size, size)
    seen = first.rows[0].sum(0)
    middle = seen[size // 4 : size - size // 4]
    assert middle.min() > 0.25 * n / size
