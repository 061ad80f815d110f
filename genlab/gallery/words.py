"""What kind of number a score is, in words for somebody who has not seen the project. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# A lower bound of the log-likelihood is an upper bound of its negative, which is what is printed.
SIGNS = {"exact": "", "lower bound": "≤ ", "upper bound": "≥ ", "estimate": "≈ "}

SPOKEN = {"≤ ": "at most", "≥ ": "at least", "≈ ": "about"}

GUARANTEES = {
    "exact": "Exact: the model's own probability of each datum, up to rounding.",
    "lower bound": (
        "A bound: on average over the estimator's noise, the true negative log-likelihood is at most "
        "this number, so the model may be better than it says."
    ),
    "upper bound": (
        "A bound from the flattering side: on average over the estimator's noise, the true negative "
        "log-likelihood is at least this number, so the model may be worse than it says."
    ),
    "estimate": ("An estimate: its method may err to either side, by an amount that is not known."),
}
MEASURES = {
    "mass": "The data are discrete and have probabilities, so it is never below zero.",
    "density": (
        "The data are continuous and have a density, so it may be below zero, and is never compared with "
        "that of discrete data."
    ),
}
REFERENCE = "reference: "  # begins the diagnostics that are shown beside a number
TRUST = ("exact", "lower bound", "upper bound", "estimate")


def kind_of_number(nats: Mapping[str, Any], n: int) -> str:
    """The sentences under a score. nats: that entry of a score file; n: how many data were scored."""
    guarantee, measure = str(nats.get("guarantee")), str(nats.get("measure"))
    sentences = [
        GUARANTEES.get(guarantee, f"Of unknown kind ({guarantee})."),
        MEASURES.get(measure, ""),
        "The model was told the label of each datum." if nats.get("given") == "label" else "",
        _error(nats, n),
        _shared(nats),
        _references(nats),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _error(nats: Mapping[str, Any], n: int) -> str:
    if nats.get("mean") is None:
        return f"No number is given: {nats.get('reason') or 'the reason was not recorded'}."
    if nats.get("stderr") is None:
        return ""
    return f"± is one standard error over {n:,} data; another training would give another model."


def interval(nats: Mapping[str, Any]) -> tuple[float, float, bool] | None:
    """Between which the mean nll lies by an error common to all data, and whether both ends are bounds.

    The bracket, where there is one, says more than the confidence interval of one side.
    """
    bracket, shared, mean = nats.get("bracket"), nats.get("shared"), nats.get("mean")
    if mean is None:
        return None
    if bracket is not None:
        low, high = bracket["low"], bracket["high"]
    elif shared is not None:
        low, high = shared
    else:
        return None
    return -(mean + high), -(mean + low), bracket is not None and bracket["two_sided"]


def limits(nats: Mapping[str, Any]) -> tuple[float, float]:
    """Between which the true mean nll lies, apart from its sampling error; infinite where nothing is known.

    >>> limits({"mean": -90.0, "guarantee": "lower bound"})
    (-inf, 90.0)
    """
    mean, guarantee = nats.get("mean"), nats.get("guarantee")
    if mean is None:
        return -math.inf, math.inf
    low, high, _ = interval(nats) or (-mean, -mean, False)
    return (
        low if guarantee in ("exact", "upper bound") else -math.inf,
        high if guarantee in ("exact", "lower bound") else math.inf,
    )


def references(nats: Mapping[str, Any]) -> dict[str, float]:
    """The negative log-likelihoods that an estimator wants to be read beside its own, by name.

    Those that are no numbers are left out.
    """
    found = (nats.get("diagnostics") or {}).items()
    return {
        k.removeprefix(REFERENCE): -v for k, v in found if k.startswith(REFERENCE) and v is not None
    }


def _shared(nats: Mapping[str, Any]) -> str:
    between = interval(nats)
    if between is None:
        return ""
    low, high, two_sided = between
    side = "two bounds" if two_sided else "its 95 % intervals"
    bias = ", the method's bias aside" if nats.get("guarantee") == "estimate" else ""
    return (
        "The estimator's noise adds an error that is common to all data, so that more of them would not "
        f"shrink it: by that alone the number lies between {low:.2f} and {high:.2f} nats ({side}{bias})."
    )


def _references(nats: Mapping[str, Any]) -> str:
    beside = [f"{name} score {nll:.2f}" for name, nll in references(nats).items()]
    return f"By the same method {' and '.join(beside)} nats." if beside else ""


def number(nats: Mapping[str, Any]) -> str:
    """The negative log-likelihood with its sign and error: "≤ 97.12 ± 0.20"."""
    if nats.get("mean") is None:
        return "no number"
    error = nats.get("stderr")
    sign = SIGNS.get(str(nats.get("guarantee")), "≈ ")
    return f"{sign}{-nats['mean']:.2f}" + (f" ± {error:.2f}" if error is not None else "")


def spoken(nats: Mapping[str, Any]) -> str:
    """As ``number``, with a word for the sign: "at most 97.12 ± 0.20"; empty for no number."""
    if nats.get("mean") is None:
        return ""
    sign = SIGNS.get(str(nats.get("guarantee")), "≈ ")
    text = number(nats).removeprefix(sign)
    return f"{SPOKEN[sign]} {text}" if sign else text


# A bound of the likelihood bounds how much better or worse than something known a model is.
_LIMITS = {
    ("lower bound", True): "at least ",
    ("lower bound", False): "at most ",
    ("upper bound", True): "at most ",
    ("upper bound", False): "at least ",
    ("estimate", True): "about ",
    ("estimate", False): "about ",
}


def comparison(score: Mapping[str, Any]) -> str:
    """How a score stands to that of the model whose entries are independent."""
    mean, floor = score["nats"].get("mean"), (score.get("floor") or {}).get("nats")
    if mean is None or floor is None:
        return ""
    gain = mean - floor
    side = "better than" if gain >= 0 else "worse than"
    limit = _LIMITS.get((str(score["nats"].get("guarantee")), gain >= 0), "")
    if not limit and abs(gain) < 0.005:
        return f"no better than independent entries, whose NLL is {-floor:.2f} nats"
    return f"{limit}{abs(gain):.2f} nats {side} independent entries, whose NLL is {-floor:.2f} nats"


def stage(progress: Mapping[str, Any]) -> str:
    """Where a run is in its training.

    >>> stage({"stage": "rbm2", "number": 2, "stages": 4, "step": 50, "steps": 900})
    'stage 2/4 rbm2, at step 50 of 900'
    """
    number = f"{progress['number']}/{progress['stages']} " if "number" in progress else ""
    at = f", at step {progress.get('step')} of {progress['steps']}" if progress.get("steps") else ""
    return f"stage {number}{progress.get('stage')}{at}"


def datum(spec: Mapping[str, Any]) -> str:
    """What one datum is: "an image of 8 × 8 binary pixels"."""
    shape = [int(n) for n in spec.get("shape") or ()]
    kinds = {
        "binary": "binary ",
        "levels": f"{spec.get('levels')}-level ",
        "real": "real-valued ",
    }
    kind = kinds.get(str(spec.get("support")), "")
    if len(shape) == 3:
        channels = "" if shape[0] == 1 else f" in {shape[0]} channels"
        return f"an image of {shape[1]} × {shape[2]} {kind}pixels{channels}"
    if len(shape) == 1:
        return f"a row of {shape[0]} {kind}numbers"
    return f"an array of {' × '.join(map(str, shape))} {kind}numbers"


def duration(seconds: float) -> str:
    """
    >>> duration(3.21), duration(75), duration(7260)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
