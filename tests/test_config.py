"""Values as words of a command line, and back."""

from __future__ import annotations

import pytest

from genlab.config import compose, identity, notation


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


@pytest.mark.parametrize(
    ("word", "decides"),
    [
        ("seed=1", True),
        ("optimizer=sgd", True),
        ("trainer.precision=bf16-mixed", True),
        ("trainer.gradient_clip_val=1", True),
        ("trainer.accumulate_grad_batches=2", True),
        ("trainer.check_val_every_n_epoch=2", True),
        ("trainer.threads=2", False),
        ("trainer.checkpoint_minutes=1", False),
        ("likelihood=window", False),
        ("gallery=false", False),
    ],
)
def test_what_decides_the_weights_is_the_identity(word, decides):
    plain, other = compose(["trainer=cpu"]), compose(["trainer=cpu", word])
    assert (other.identity != plain.identity) == decides
    assert identity(other.record) == other.identity, "it is what a run writes down"
    assert other.record["trainer"].items() >= {"accelerator": "cpu"}.items()
