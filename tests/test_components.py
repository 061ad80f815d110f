"""What a configuration may build, and what it is told when it may not."""

from __future__ import annotations

from functools import partial
from typing import Literal

import pytest
import torch

from genlab import components
from genlab.components import build, coerce
from genlab.contracts import PluginError, UsageError


def test_builds_nested_components_and_partials():
    node = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5, "momentum": 0}
    optimizer = build(node, where="optimizer")
    assert isinstance(optimizer, partial)
    assert optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "os.system",
        "builtins.eval",
        "genlab.runs.os.getcwd",
        "genlab.runs.json.loads",
        "genlab.data.np.load",
        "genlab.api",
        "subprocess.run",
        "torch.optim.lr_scheduler.LambdaLR",
        # genlab's own, which do something and make nothing
        "genlab.runs.write_text",
        "genlab.components.allow_targets",
        "genlab.api.train",
        "genlab.api.session.Session",
        "genlab.training.load_checkpoint",
        "genlab.training.fit",
        "genlab.data.files.verified",
        # which return an object, and write a file
        "genlab.data.write_shards",
        "genlab.data.sharding.write_shards",
        "genlab.metrics.features.features_for",
        "genlab.metrics.features._learn",
        "genlab.data.column_writer._File",
    ],
)
def test_refuses_targets_that_are_no_components(target):
    with pytest.raises(UsageError, match=r"_target_"):
        build({"_target_": target}, where="model")


def test_allowed_prefix_is_for_whoever_typed_it(monkeypatch):
    monkeypatch.setattr(components, "_trusted_prefixes", ["fractions."])
    assert build({"_target_": "fractions.Fraction", "numerator": 3}, where="x") == 3


def test_a_broken_package_is_a_plugin_error(monkeypatch, tmp_path):
    (tmp_path / "broken_models.py").write_text("raise RuntimeError('my bug')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(components, "_trusted_prefixes", ["broken_models."])
    with pytest.raises(PluginError, match="my bug"):
        build({"_target_": "broken_models.Model"}, where="model")


def test_unknown_key_suggests_the_known_one():
    with pytest.raises(UsageError, match=r"optimizer\.momntum: SGD .* did you mean 'momentum'\?"):
        build({"_target_": "torch.optim.SGD", "_partial_": True, "momntum": 1}, where="optimizer")


def test_missing_value_says_what_to_type():
    with pytest.raises(UsageError, match=r"data\.path=…"):
        build({"_target_": "genlab.data.npz", "path": "???"}, where="data")


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ([1, 2], tuple[int, ...], (1, 2)),
        (3, float, 3.0),
        (None, int | None, None),
        ("relu", Literal["relu", "tanh"], "relu"),
        ([0.9, 1], tuple[float, float], (0.9, 1.0)),
        (2, int | float, 2),
        ([1], list[int], [1]),
    ],
)
def test_coercion(value, hint, expected):
    found = coerce(value, hint, "key")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        ("fast", float, "expected a number"),
        (1.5, int, "expected a whole number"),
        (True, int, "expected a whole number"),
        ("yes", bool, "expected true or false"),
        ("gelu", Literal["relu", "tanh"], "expected relu or tanh"),
        (5, tuple[int, ...], "expected a list, each"),
        ("x", int | None, "expected a whole number or null"),
        ({"a": 1}, int, "expected a whole number"),
    ],
)
def test_values_of_the_wrong_type(value, hint, words):
    with pytest.raises(UsageError, match=words):
        coerce(value, hint, "model.key")


def test_a_nested_component_cannot_widen_what_is_allowed(tmp_path):
    """A stranger's configuration is read from top to bottom: nothing in it may loosen the rule."""
    node = {
        "_target_": "genlab.data.digits",
        "batch_size": {"_target_": "genlab.components.allow_targets", "prefixes": ["os."]},
        "preprocess": {"_target_": "os.popen", "cmd": f"touch {tmp_path}/ran"},
    }
    with pytest.raises(UsageError, match="allow_targets is not a component"):
        build(node, where="data")
    assert not list(tmp_path.iterdir())


def test_functions_that_are_annotated_to_return_an_object_are_components():
    assert len(build({"_target_": "genlab.data.digits"}, where="data").dataset("test")) == 297
