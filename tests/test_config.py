"""Values as words of a command line, and back."""

from __future__ import annotations

import pytest

from genlab.config import compose, notation


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -0.5,
        1e-05,
        "relu",
        "null",
        "true",
        "12",
        "1e-3",
        "",
        "a b",
        "a, b",
        'say "so"',
        "it's",
        "grün",
        "a\\b",
        [["a b", "c, d", "{x}", "12"]],
        "a/b.c-d",
        "[x]",
        [500, 250],
        [[3], ["a", None]],
        {"_target_": "torch.optim.SGD", "lr": 0.1},
        {10000: 0.1, 20000: 0.01},
        {"fit": {"max_epochs": 3}},
    ],
)
def test_a_value_is_read_as_it_was(value):
    assert compose([f"samples={notation(value)}"]).resolved["samples"] == value
