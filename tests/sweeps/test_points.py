"""Words in Hydra's sweep syntax stand for the points that Hydra's own multirun makes of them."""

from __future__ import annotations

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from genlab.config import compose
from genlab.errors import UsageError
from genlab.options import options
from genlab.sweeps.points import MOST, Point, product

SWEEPS = [
    ["model=made,draw", "seed=1,2,3", "data=digits_binary"],
    ["model.hidden=[100],[3,3]", "seed=choice(5, 6)", "stages.fit.max_epochs=range(1, 7, 2)"],
    ["stages.fit.lr_schedule={10: 0.1},linear", "seed=range(3,0,-1)"],
    ["optimizer=adam", "optimizer.lr=range(0.1,0.5,0.1)", "gallery=true,false"],
    ["name='a b',c", "seed=float(range(1,3))", "+seed=sort(3,1,2)"],
    ["model=made", "~callbacks"],
]


@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_as_hydra_makes_them(words):
    overrides = OverridesParser.create().parse_overrides(words)
    (theirs,) = BasicSweeper.split_arguments(overrides, None)
    ours = product(words)
    read = OverridesParser.create().parse_overrides
    assert len(ours) == len(theirs)
    for point, other in zip(ours, theirs, strict=True):
        pairs = zip(read(list(point)), read(other), strict=True)
        assert all(a.key_or_group == b.key_or_group and a.value() == b.value() for a, b in pairs)


def test_every_point_of_a_sweep_can_be_composed():
    points = product(["model.hidden=[100],[3,3]", "seed=range(0,2)", "optimizer=adam,sgd"])
    seen = [compose(point).resolved for point in points]
    assert [config["model"]["hidden"] for config in seen[:4]] == [[100]] * 4
    assert [config["seed"] for config in seen] == [0, 0, 1, 1] * 2


def test_glob_is_over_the_options_of_a_group():
    found = product(["data=glob(digits*,exclude=*labels*)"])
    names = [o.name for o in options("data") if o.name.startswith("digits")]
    assert {word for (word,) in found} == {f"data={name}" for name in names if "labels" not in name}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("seed=interval(1,2)", "type genlab tune"),
        ("seed=range(1,1)", "has no values"),
        ("data=glob(zzz*)", "has no values"),
        ("seed=choice()", "cannot be read"),
        ("seed=[1,2", "cannot be read"),
        ("seed=range(1,5,0)", "a step of 0"),
        ("model.hidden=glob(*)", "glob(…) is for groups"),
        ("seed", "is not key=value"),
        ("folder=here", "type -o DIR"),
        (f"seed=range({2 * MOST})", "more than"),
    ],
)
def test_words_that_are_no_points(word, says):
    with pytest.raises(UsageError) as caught:
        product(["model=made", word])
    assert word in str(caught.value)
    assert says in str(caught.value)


def test_a_product_that_is_too_large():
    with pytest.raises(UsageError, match="more than 10000 points"):
        product(["seed=range(200)", "data.batch_size=range(1,200)"])


def test_what_tells_a_point_from_others():
    assert Point(1, ("model=made", "name='a b'")).beside(["model=made", "name='a b',c"]) == (
        "'name='\"'\"'a b'\"'\"''"
    )
