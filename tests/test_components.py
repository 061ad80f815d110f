"""What a configuration may build, and what it is told when it may not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
import torch

from genlab import targets
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
        "genlab.targets.allow_targets",
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
    monkeypatch.setattr(targets, "_trusted_prefixes", ["fractions."])
    assert build({"_target_": "fractions.Fraction", "numerator": 3}, where="x") == 3


def test_a_broken_package_is_a_plugin_error(monkeypatch, tmp_path):
    (tmp_path / "broken_models.py").write_text("raise RuntimeError('my bug')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(targets, "_trusted_prefixes", ["broken_models."])
    with pytest.raises(PluginError, match="my bug"):
        build({"_target_": "broken_models.Model"}, where="model")


def test_unknown_key_suggests_the_known_one():
    with pytest.raises(UsageError, match=r"optimizer\.momntum: SGD .* did you mean 'momentum'\?"):
        build({"_target_": "torch.optim.SGD", "_partial_": True, "momntum": 1}, where="optimizer")


def test_missing_value_says_what_to_type():
    with pytest.raises(UsageError, match=r"data\.path=…"):
        build({"_target_": "genlab.data.npz", "path": "???"}, where="data")


class Wheel:
    def __init__(self, spokes: int = 20) -> None:
        if spokes < 2:
            raise UsageError(f"spokes={spokes} must be at least 2")
        self.spokes = spokes


LIGHT = partial(Wheel, spokes=3)


class Cart:
    """Its wheel is given as a part, which is called to make it, its horse as an object."""

    def __init__(
        self,
        wheel: Callable[..., Wheel] = Wheel,
        spare: Callable[..., Wheel] = LIGHT,
        horse: Wheel | None = None,
    ) -> None:
        self.wheel, self.spare, self.horse = wheel(), spare(), horse


@pytest.fixture
def cart(monkeypatch):
    """cart(**keys): built of a configuration."""
    monkeypatch.setattr(targets, "_trusted_prefixes", [f"{__name__}."])

    def built(**keys) -> Cart:
        return build({"_target_": f"{__name__}.Cart", **keys}, where="cart")

    return built


def test_options_without_a_target_are_those_of_the_default_part(cart):
    built = cart(wheel={"spokes": 8})
    assert (built.wheel.spokes, built.spare.spokes) == (8, 3)
    built = cart(spare={}, wheel={"_target_": f"{__name__}.Wheel", "_partial_": True})
    assert (built.wheel.spokes, built.spare.spokes) == (20, 3)
    assert cart(spare={"spokes": 5}).spare.spokes == 5


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"wheel": {"spoke": 8}}, r"cart\.wheel\.spoke: Wheel .* did you mean 'spokes'\?"),
        ({"wheel": {"spokes": "many"}}, r"cart\.wheel\.spokes=many: expected a whole number"),
        ({"wheel": {"spokes": 1}}, r"^cart\.wheel\.spokes=1 must be at least 2"),
        (
            {"horse": {"spokes": 8}},
            r"cart\.horse: .* no part is named: give cart\.horse\._target_=…",
        ),
        ({"wheel": 3}, r"cart\.wheel=3: expected keys and values with a _target_"),
        ({"wheel": None}, r"cart\.wheel=null: expected keys and values with a _target_"),
        ({"horse": "bay"}, r"horse=bay: expected keys and values with a _target_ or null"),
    ],
)
def test_what_is_no_part_is_refused_by_its_whole_key(cart, keys, says):
    with pytest.raises(UsageError, match=says):
        cart(**keys)


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
        "batch_size": {"_target_": "genlab.targets.allow_targets", "prefixes": ["os."]},
        "preprocess": {"_target_": "os.popen", "cmd": f"touch {tmp_path}/ran"},
    }
    with pytest.raises(UsageError, match="allow_targets is not a component"):
        build(node, where="data")
    assert not list(tmp_path.iterdir())


def test_functions_that_are_annotated_to_return_an_object_are_components():
    assert len(build({"_target_": "genlab.data.digits"}, where="data").dataset("test")) == 297
