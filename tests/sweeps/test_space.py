"""What is searched over: the distributions that Optuna is asked for, in the values of a sweep."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from genlab.errors import UsageError
from genlab.sweeps.points import product
from genlab.sweeps.space import space

optuna.logging.set_verbosity(optuna.logging.ERROR)


def study(seed: int = 0) -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("a=interval(0, 1)", FloatDistribution(0, 1)),
        ("a=interval(1, 9)", FloatDistribution(1, 9)),
        ("a=int(interval(1, 9))", IntDistribution(1, 9)),
        ("a=tag(log, interval(1e-4, 1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("a=tag(log, int(interval(1, 99)))", IntDistribution(1, 99, log=True)),
        ("a=range(0, 10, 3)", IntDistribution(0, 9, step=3)),
        ("a=range(5)", IntDistribution(0, 4)),
        ("a=range(5, 0, -2)", IntDistribution(1, 5, step=2)),
        ("a=range(3, 4)", IntDistribution(3, 3)),
        ("a=tag(log, range(1, 9))", IntDistribution(1, 8, log=True)),
        ("a=range(0, 1, 0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("a=choice([100], [300, 300])", CategoricalDistribution(["[100]", "[300,300]"])),
        ("a=x,y,x", CategoricalDistribution(["x", "y"])),
    ],
)
def test_distributions(word, distribution):
    trial = study().ask()
    (chosen,) = space([word]).suggest(trial)
    assert trial.distributions == {"a": distribution}
    assert chosen.startswith("a=")


@pytest.mark.parametrize(
    "word", ["a=range(0, 1, 0.1)", "a=range(7, -3, -2)", "a=[1],{x: 1},null,true", "a=range(1., 3)"]
)
def test_values_are_those_of_a_sweep(word):
    """Written the same too: a float step gives 0.3 and not 0.30000000000000004."""
    searched, asked = space([word, "b=1"]), study()
    found = {searched.suggest(asked.ask()) for _ in range(100)}
    assert found == set(product([word, "b=1"]))


def test_values_of_an_interval_are_exact_and_inside():
    searched, asked = space(["b=1", "a=tag(log, interval(1e-4, 1e-1))"]), study()
    for _ in range(50):
        trial = asked.ask()
        before, word = searched.suggest(trial)
        assert before == "b=1"
        assert float(word.removeprefix("a=")) == trial.params["a"]
        assert 1e-4 <= trial.params["a"] <= 1e-1


def test_corners_hold_every_choice_and_both_ends():
    corners = space(["seed=0", "a=x,y,z", "b=int(interval(1, 9))", "c=range(0, 9, 2)"]).corners()
    assert corners[0] == ("seed=0", "a=x", "b=1", "c=0")
    words = {word for corner in corners for word in corner}
    assert words == {"seed=0", "a=x", "a=y", "a=z", "b=1", "b=9", "c=0", "c=8"}
    assert len(corners) == 5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["seed=1"], "nothing to search"),
        (["a=interval(2, 1)"], "the smaller one first"),
        (["a=interval(0, inf)"], "the smaller one first"),
        (["a=tag(log, interval(0, 1))"], "numbers above 0"),
        (["a=tag(log, range(0, 5))"], "numbers above 0"),
        (["a=tag(log, range(1, 9, 2))"], "steps of 1"),
        (["a=tag(log, choice(1, 2))"], "for an interval or a range"),
        (["a=tag(lg, choice(1, 2))"], "the only tag is log"),
        (["a=range(2, 2)"], "has no values"),
        (["a=range(2, 9, 0)"], "has no values"),
        (["a=1,2", "a=3,4"], "searched over twice"),
        (["a=[1,2"], "cannot be read"),
        (["folder=a,b"], "type -o DIR"),
    ],
)
def test_words_that_are_no_space(words, says):
    with pytest.raises(UsageError, match=says):
        space(words)
