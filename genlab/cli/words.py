"""Scores and measurements in words: one line that says what kind of number it is."""

from __future__ import annotations

from typing import Any

from genlab.gallery.answers import in_words
from genlab.gallery.quality import by_sampler, number
from genlab.gallery.words import SIGNS, interval, references


def describe_any(result: dict[str, Any]) -> str:
    """One line about a score, a model's answers or the quality of its samples."""
    if "nats" in result:
        return describe(result)
    return describe_answers(result) if "floor" in result else describe_quality(result)


def describe(score: dict[str, Any]) -> str:
    """One line: split, negative log-likelihood, its error, its kind, and the floor beside it.

    A lower bound of the log-likelihood is an upper bound of its negative: "NLL ≤ 97.1".
    """
    nats, data = score["nats"], score["data"]
    head = f"{data['name']} ({data['variant']}) {data['split']}, n={data['n']}: "
    if nats["mean"] is None:
        return f"{head}no number ({nats.get('reason')}), {nats['method']}"
    error = f" ± {nats['stderr']:.2f}" if nats.get("stderr") is not None else ""
    bits = score.get("bits_per_dim")
    unit = f" nats = {bits:.3f} bits/dim" if bits is not None else " nats (density)"
    kind = f"{nats['guarantee']}, {nats['method']}"
    nll = f"{SIGNS.get(nats['guarantee'], '≈ ')}{-nats['mean']:.2f}{error}{unit}"
    return f"{head}NLL {nll} ({kind}){_between(nats)}{_floor(score)}{_beside(nats)}"


def _between(nats: dict[str, Any]) -> str:
    """Where an error that all data share leaves the number."""
    between = interval(nats)
    if between is None:
        return ""
    low, high, two_sided = between
    return f"; {'bracket' if two_sided else 'interval'} {low:.2f} to {high:.2f}"


def _beside(nats: dict[str, Any]) -> str:
    return "".join(f"; {name}: {nll:.2f}" for name, nll in references(nats).items())


def _floor(score: dict[str, Any]) -> str:
    """The floor, in bits per dimension too where the score has them."""
    if (score.get("floor") or {}).get("nats") is None:
        return ""
    nats, bits = -score["floor"]["nats"], ""
    if score.get("bits_per_dim") and score["nats"]["mean"]:
        bits = f" = {nats * score['bits_per_dim'] / -score['nats']['mean']:.3f} bits/dim"
    behind = nats < -score["nats"]["mean"] - 2 * (score["nats"].get("stderr") or 0.0)
    hint = ", which is better: train longer or faster" if behind else ""
    return f"; independent entries: {nats:.2f}{bits}{hint}"


def describe_answers(answers: dict[str, Any]) -> str:
    """One line: data, each value with its standard error, and its floor."""
    data = answers["data"]
    head = f"{data['name']} ({data['variant']}) {data['split']}, n={data['n']}"
    return f"{head}: {in_words(answers)}"


def describe_quality(quality: dict[str, Any]) -> str:
    """One line: data, n, features, each number of a metric, and in brackets that of training data."""
    data, features, reference = quality["data"], quality["features"], quality["reference"]
    accuracy = features["accuracy"]
    space = features["name"] + ("" if accuracy is None else f" ({100 * accuracy:.1f} % right)")
    head = f"{data['name']} ({data['variant']}) {data['split']}, n={data['n']}, features {space}"
    numbers = ", ".join(
        f"{key} {number(value)} ({number(reference['values'].get(key))})"
        for key, value in quality["values"].items()
    )
    name = f"{quality['metric']['name']}{by_sampler(quality)}"
    return f"{head}: {name} {numbers}; in brackets: {reference['of']}"
