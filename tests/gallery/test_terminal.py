"""A picture in a terminal."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from genlab.gallery.terminal import text_of

CELL = re.compile(r"\x1b\[38;2;(\d+);(\d+);(\d+)m\x1b\[48;2;(\d+);(\d+);(\d+)m▀")


def cells(text: str) -> np.ndarray:
    """(lines, columns, 2, 3): the colours of both halves of each character."""
    lines = [[list(map(int, found)) for found in CELL.findall(line)] for line in text.splitlines()]
    return np.array(lines).reshape(len(lines), -1, 2, 3)


def test_every_pixel_is_half_a_character(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    text = text_of(tmp_path / "p.png", 5)
    np.testing.assert_array_equal(cells(text), pixels.reshape(2, 2, 5, 3).transpose(0, 2, 1, 3))
    assert all(line.endswith("\x1b[0m") for line in text.splitlines())


def test_a_wide_picture_is_made_of_means_and_an_odd_row_is_repeated(tmp_path):
    pixels = np.kron(np.arange(0, 90, 10, np.uint8).reshape(3, 3), np.ones((2, 2), np.uint8))
    Image.fromarray(pixels).save(tmp_path / "p.png")
    found = cells(text_of(tmp_path / "p.png", 4))[..., 0]
    np.testing.assert_array_equal(found[0], [[0, 30], [10, 40], [20, 50]])
    np.testing.assert_array_equal(found[1], [[60, 60], [70, 70], [80, 80]])
