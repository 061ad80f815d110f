"""A model's answers about data, beside their floor: reading the files, and tables of what may be compared.

Numbers may stand in one column if they were computed by the same metric on the same data and split. Needs
no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from genlab import shapes
from genlab.gallery.reading import of_runs
from genlab.gallery.scores import model_name
from genlab.runs import RunDirectory
from genlab.trust import read_json


class Kind(NamedTuple):
    """How a value is shown: its name, its unit, and by what it is multiplied. column: its heading."""

    title: str
    unit: str
    column: str
    scale: float = 1.0


KINDS = {
    ("classification", "error"): Kind("error", "%", "error (%)", 100.0),
    ("classification", "nll"): Kind("−log p(label | x)", "nats", "−log p(label | x) (nats)"),
    ("reconstruction", "squared_error"): Kind(
        "reconstruction", "squared error per datum", "squared error"
    ),
    ("reconstruction", "per_dimension"): Kind("per dimension", "", "per dimension"),
}
MOST_DECIMALS = 8  # smaller errors are written with an exponent
FACTS = {"code": "code size"}
SENTENCES = {
    "classification": (
        "The share of data whose most probable label is wrong, and how improbable the right label is to "
        "the model."
    ),
    "reconstruction": (
        "The squared difference between a datum and what comes back from its code, in the units of the "
        "data. It means something among codes of one size only, and is no likelihood."
    ),
}


def kind_of(metric: str, key: str) -> Kind:
    """Of a plugin's value: its own name."""
    return KINDS.get((metric, key), Kind(f"{metric} {key}", "", key))


def sentence(metric: str) -> str:
    """What its numbers are, for somebody who has not seen the project."""
    return f"{SENTENCES.get(metric, '')} Lower is better.".strip()


def with_error(mean: float | None, stderr: float | None, scale: float = 1.0) -> str:
    """Two digits of the standard error, and as many decimals of the mean; a dash for no number.

    >>> with_error(0.0131, 0.00114, 100.0), with_error(3.87123, 0.0213), with_error(52.7, None)
    ('1.31 ± 0.11', '3.871 ± 0.021', '52.7')
    >>> with_error(1.234e-15, 2.5e-17)
    '1.2e-15 ± 2.5e-17'
    """
    if mean is None:
        return "–"
    if not stderr:
        return f"{scale * mean:.4g}"
    digits = max(0, 1 - math.floor(math.log10(scale * stderr)))
    if digits > MOST_DECIMALS:
        return f"{scale * mean:.2g} ± {scale * stderr:.2g}"
    return f"{scale * mean:.{digits}f} ± {scale * stderr:.{digits}f}"


def in_words(answers: Mapping[str, Any]) -> str:
    """Each shown value with its unit and floor: "error 1.31 ± 0.11 % (88.65); in brackets: always …"."""
    name = answers["metric"]["name"]
    values = [_value(name, key, answers) for key in answers["metric"]["shown"]]
    facts = [f"{FACTS.get(k, k)}: {v}" for k, v in answers["facts"].items()]
    return "; ".join([*values, *facts, f"in brackets: {answers['floor']['of']}"])


def _value(name: str, key: str, answers: Mapping[str, Any]) -> str:
    kind, value = kind_of(name, key), answers["values"][key]
    if value["mean"] is None:
        return f"{kind.title}: no number ({value['reason']})"
    number = with_error(value["mean"], value["stderr"], kind.scale)
    floor = f"({kind.scale * answers['floor']['values'][key]:.4g})"
    return " ".join(filter(None, [kind.title, number, kind.unit, floor]))


@dataclass(frozen=True)
class Row:
    """One run's means and standard errors by name, and what else must be known to judge them."""

    model: str
    run: str
    values: Mapping[str, tuple[float | None, float | None]]
    reason: str | None
    facts: dict[str, int]
    parameters: int | None
    remarks: str


@dataclass
class Group:
    """Answers that may be compared: the same metric, data and split. floor: the value of each name."""

    metric: str
    settings: dict[str, Any]
    shown: list[str]
    data: str
    variant: str
    split: str
    n: int
    floor_of: str
    floor: dict[str, float]
    rows: list[Row] = field(default_factory=list)

    @property
    def title(self) -> str:
        options = "".join(f", {k}={v}" for k, v in self.settings.items())
        name = self.metric.replace("_", " ").capitalize()
        return f"{name}{options}: {self.data} ({self.variant}), {self.split}, n={self.n}"

    @property
    def facts(self) -> list[str]:
        """Which facts some row has."""
        return list(dict.fromkeys(key for row in self.rows for key in row.facts))


def read_answers(run: RunDirectory) -> tuple[list[dict[str, Any]], list[str]]:
    """The readable answers of a run, oldest first, and for each unreadable one a sentence."""
    found, problems = [], []
    for path in sorted(run.metrics.glob("*.json")):
        try:
            content = read_json(path, run.path)
            if is_answers(content):
                found.append(_checked(content))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{path.name} is unreadable: {type(error).__name__}: {error}")
    return sorted(found, key=lambda answers: str(answers.get("created"))), problems


def is_answers(content: Any) -> bool:
    """Whether a file of the folder is of this kind; the others tell of sample quality."""
    return isinstance(content, dict) and content.get("kind") == "answers"


def _checked(answers: Any) -> dict[str, Any]:
    """The answers, if they have what every reader needs. Raises what a wrong shape makes Python raise."""
    shapes.require(answers, shapes.ANSWERS)
    shapes.require_some(answers["metric"]["shown"], "metric.shown")
    for key in answers["metric"]["shown"]:
        shapes.require(answers["floor"]["values"][key], shapes.NUMBER, f"floor.{key}")
        shapes.require(answers["values"][key], shapes.VALUE, key)
    return answers


def compare(paths: Iterable[Path], split: str | None = "test") -> tuple[list[Group], list[str]]:
    """The answers of runs in groups that may be compared, best first in each; and what was unreadable.

    split: None for every split. Raises UsageError where a path is no run directory.
    """
    groups: dict[tuple[Any, ...], Group] = {}
    found, problems = of_runs(paths, split, read_answers)
    for run, record, answers in found:
        _group(groups, answers).rows.append(_row(run, record, answers))
    for group in groups.values():
        group.rows.sort(key=lambda row: _rank(row, group))
    return [groups[key] for key in sorted(groups, key=str)], problems


def _rank(row: Row, group: Group) -> tuple[float, str]:
    """By the first value that is shown; a number that is missing comes last."""
    mean, _ = row.values[group.shown[0]]
    return (math.inf if mean is None else mean), row.run


def _group(groups: dict[tuple[Any, ...], Group], answers: Mapping[str, Any]) -> Group:
    data, metric, floor = answers["data"], answers["metric"], answers["floor"]
    about = data["name"], data["variant"], data["split"], data["n"]
    parameters = json.dumps(metric["parameters"], sort_keys=True)
    # data of one name may still differ (somebody's own file): then they are not the same data
    key = (*about, metric["name"], parameters, data.get("sha256"))
    fresh = Group(
        metric["name"], metric["parameters"], metric["shown"], *about, floor["of"], floor["values"]
    )
    return groups.setdefault(key, fresh)


def _row(run: RunDirectory, record: Mapping[str, Any], answers: Mapping[str, Any]) -> Row:
    values = {key: answers["values"][key] for key in answers["metric"]["shown"]}
    reasons = [value["reason"] for value in values.values() if value.get("reason")]
    return Row(
        model_name(run),
        run.path.resolve().name,
        {key: (value["mean"], value["stderr"]) for key, value in values.items()},
        reasons[0] if reasons else None,
        answers["facts"],
        record.get("parameters"),
        remarks(record, answers),
    )


def remarks(record: Mapping[str, Any], answers: Mapping[str, Any]) -> str:
    """Weights, precision and seed where they are not the usual ones."""
    metric, weights = answers["metric"], (answers.get("checkpoint") or {}).get("weights")
    precision, seed = metric.get("precision", "32-true"), metric.get("seed")
    unusual = ["averaged weights"] if weights == "ema" else []
    unusual += [] if precision == "32-true" else [str(precision)]
    unusual += [] if seed in (None, record.get("seed")) else [f"seed {seed}"]
    return ", ".join(unusual)
