"""Sample quality of runs: reading the files, and one table for each set of numbers that may be compared.

Numbers may stand in one column if they were computed against the same data and split, with the same
number of samples and in the same features. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genlab import shapes
from genlab.gallery.answers import is_answers
from genlab.gallery.copying import FAR, LIKE_COPIES, NEAR, copies_more
from genlab.gallery.reading import of_runs
from genlab.runs import RunDirectory
from genlab.trust import read_json

# A value's title where it is not "<metric> <key>"; arrows say which way is better.
TITLES = {
    ("frechet", "distance"): "Fréchet ↓",
    ("kernel", "distance"): "kernel ↓",
    ("precision_recall", "precision"): "precision ↑",
    ("precision_recall", "recall"): "recall ↑",
    ("density_coverage", "density"): "density",
    ("density_coverage", "coverage"): "coverage ↑",
    ("birthday", "support"): "support ↑",
    ("birthday", "support_low"): "support >",
    ("memorisation", "z"): "copying z",
    ("memorisation", "copies"): "share of copies",
    ("c2st", "accuracy"): "C2ST ↓",
    ("c2st", "p_value"): "C2ST p",
    ("mmd", "mmd2"): "MMD² ↓",
    ("mmd", "p_value"): "MMD p",
    ("mmd", "p_value_aggregated"): "MMD p (all σ)",
}
ORDER = list(TITLES)
# What a metric says, for whoever has not met it.
SENTENCES = {
    "frechet": (
        "Fréchet: how far the means and covariances of features are apart, squared. It sees no copies."
    ),
    "kernel": (
        "Kernel: a distance of the distributions of features (the squared maximum mean discrepancy with a "
        "cubic kernel); where they are equal it is 0, and by chance below. It sees no copies."
    ),
    "precision_recall": (
        "Precision: the share of samples that lie among data. Recall: the share of data that lie among "
        "samples, low where kinds of data are missing."
    ),
    "density_coverage": (
        "Density: how many samples lie close to data, 1 for equal distributions. Coverage: the share of "
        "data that have a sample close by."
    ),
    "birthday": (
        "Support: how many different data the model can draw, guessed from how many samples are alike; "
        "where none are, only what it exceeds is known."
    ),
    "memorisation": (
        "Copying z: far below 0, samples lie nearer to the training data than unseen data do, as copies "
        "would; far above 0, further away. Copies: the share of samples that equal a training datum."
    ),
    "c2st": (
        "C2ST: how often a classifier tells samples from data, 0.5 where it cannot; p: how probable that "
        "much is by chance."
    ),
    "mmd": (
        "MMD²: a distance of the distributions of features, with a Gaussian kernel; p: how probable that "
        "much is by chance, for one width σ and for several."
    ),
}
REFERENCE = "training data"
UNLIKELY = 0.01  # a p-value below which chance is no explanation

Column = tuple[str, str, str]  # metric, parameters as JSON, key
Values = dict[Column, float | None]


@dataclass
class Section:
    """Measurements that may be compared: the same data, split, n and features.

    reference: column → number of training data in the samples' place. rows: the same for each run, by its
    path and its name.
    """

    data: str
    variant: str
    split: str
    n: int
    features: str
    accuracy: float | None
    reference: Values = field(default_factory=dict)
    rows: dict[tuple[Path, str], Values] = field(default_factory=dict)

    @property
    def title(self) -> str:
        accuracy = "" if self.accuracy is None else f" ({100 * self.accuracy:.1f} % right)"
        return (
            f"Sample quality: {self.data} ({self.variant}), {self.split}, n={self.n}; "
            f"features {self.features}{accuracy}"
        )

    def add(self, run: Path, quality: Mapping[str, Any]) -> None:
        """Take up a measurement; of several of one kind, the last that is added."""
        name = quality["metric"]["name"]
        parameters = json.dumps(quality["metric"]["parameters"], sort_keys=True)
        row = self.rows.setdefault((run, f"{run.name}{by_sampler(quality)}"), {})
        for key in quality["metric"]["shown"]:
            column = (name, parameters, key)
            row[column] = quality["values"][key]
            self.reference.setdefault(column, quality["reference"]["values"][key])

    @property
    def columns(self) -> list[Column]:
        """In the order of TITLES, then those of plugins by name."""

        def position(column: Column) -> tuple[int, Column]:
            title = (column[0], column[2])
            return ORDER.index(title) if title in ORDER else len(ORDER), column

        return sorted(self.reference, key=position)

    @property
    def named(self) -> list[tuple[str, Values]]:
        """The reference, and each run by its name, of which two may have the same."""
        return [(REFERENCE, self.reference), *((name, row) for (_, name), row in self.rows.items())]

    @property
    def sentences(self) -> list[str]:
        """What its metrics say, in the order of the columns, as far as they are known here."""
        names = dict.fromkeys(name for name, _, _ in self.columns)
        return [SENTENCES[name] for name in names if name in SENTENCES]

    @property
    def seen_by(self) -> str:
        """What was compared, in words."""
        if self.features == "raw":
            return "as they are"
        right = "" if self.accuracy is None else f", {100 * self.accuracy:.1f} % right"
        return f"by the features of a classifier of these data ({self.features}{right})"

    def as_dict(self) -> dict[str, Any]:
        """For JSON: a row has a list of numbers with the names of their metrics."""
        about = {k: value for k, value in self.__dict__.items() if k not in ("reference", "rows")}
        rows = [
            {"run": run, "values": [_named(column, value) for column, value in values.items()]}
            for run, values in self.named
        ]
        return about | {"rows": rows}

    def heading(self, column: Column) -> str:
        """The title of a column, with the parameters where one metric was computed with several."""
        name, parameters, key = column
        title = TITLES.get((name, key), f"{name} {key}")
        others = {p for n, p, _ in self.columns if n == name}
        if len(others) == 1:
            return title
        return f"{title} " + " ".join(f"{k}={v}" for k, v in json.loads(parameters).items())


def _named(column: Column, value: float | None) -> dict[str, Any]:
    metric, parameters, key = column
    return {"metric": metric, "parameters": json.loads(parameters), "key": key, "value": value}


def read_quality(run: RunDirectory) -> tuple[list[dict[str, Any]], list[str]]:
    """The readable measurements of a run, oldest first, and for each unreadable one a sentence."""
    found, problems = [], []
    for path in sorted(run.metrics.glob("*.json")):
        try:
            content = read_json(path, run.path)
            if not is_answers(content):
                found.append(_checked(content))
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{path.name} is unreadable: {type(error).__name__}: {error}")
    return sorted(found, key=lambda quality: str(quality.get("created"))), problems


def _checked(quality: Any) -> dict[str, Any]:
    """The measurement, if it has what every reader needs. Raises KeyError, TypeError or ValueError."""
    shapes.require(quality, shapes.QUALITY)
    shapes.optional(quality.get("samples"), dict, "samples")
    shapes.optional((quality.get("samples") or {}).get("sampler"), dict, "sampler")
    shapes.require_some(quality["metric"]["shown"], "metric.shown")
    for key in quality["metric"]["shown"]:
        for values in (quality["values"], quality["reference"]["values"]):
            shapes.require(values[key], shapes.MAYBE, key)
    return quality


def compare(paths: Iterable[Path], split: str | None = "test") -> tuple[list[Section], list[str]]:
    """The measurements of runs in sections that may be compared, and what was unreadable.

    split: None for every split. Raises UsageError where a path is no run directory.
    """
    found, problems = of_runs(paths, split, read_quality)
    return sections((run.path.resolve(), quality) for run, _, quality in found), problems


def sections(measured: Iterable[tuple[Path, Mapping[str, Any]]]) -> list[Section]:
    """What was measured of runs, by their paths, in sections that may be compared."""
    found: dict[tuple[Any, ...], Section] = {}
    for run, quality in measured:
        _section(found, quality).add(run, quality)
    return [found[key] for key in sorted(found, key=str)]


def by_sampler(quality: Mapping[str, Any]) -> str:
    """Which sampler drew the samples, in words after the run's name; nothing for the model's own.

    >>> by_sampler({"samples": {"sampler": {"_target_": "genlab.DDIM", "steps": 20}}})
    ' (DDIM, steps=20)'
    """
    sampler = (quality.get("samples") or {}).get("sampler")
    if not sampler:
        return ""
    name = str(sampler.get("_target_")).rpartition(".")[2]
    options = [f"{key}={value}" for key, value in sampler.items() if key != "_target_"]
    return f" ({', '.join([name, *options])})"


def verdict(row: Mapping[Column, float | None]) -> str:
    """Whether a classifier tells samples from data, where that was measured."""
    found = {(name, key): value for (name, _, key), value in row.items()}
    right, p = found.get(("c2st", "accuracy")), found.get(("c2st", "p_value"))
    if right is None or p is None:
        return ""
    can = "can" if p < UNLIKELY else "cannot"
    return (
        f"A classifier {can} tell samples from data: it is right in {100 * right:.1f} % of cases "
        f"(p = {p:.2g})."
    )


def copying(values: Mapping[str, float | None], n: int, unseen: str) -> str:
    """What the distances of n samples to the training data say, where they were measured.

    values: of ``memorisation``. unseen: as many data whose distances they were compared with, in words.
    """
    z, copies, of_data = (values.get(key) for key in ("z", "copies", "copies_held_out"))
    if z is None or copies is None or of_data is None:
        return ""
    shares = f"{100 * copies:.3g} % of {n:,} samples", f"{100 * of_data:.3g} % of {unseen}"
    equal = f"{shares[0]} equal a training datum, and so do {shares[1]}."
    if copies_more(copies, of_data, n, n, FAR):
        return f"It copies: {equal}"
    return (
        f"By a test of distances, {n:,} samples lie {_side(z, unseen)} (copying z = {z:.1f}, chance "
        f"reaches ± {FAR:g}). {equal}"
    )


def _side(z: float, unseen: str) -> str:
    """Of the training data, and what that says."""
    if z < -FAR:
        return f"nearer to the training data than {unseen} do, {LIKE_COPIES}"
    if z < -NEAR:
        return f"a little nearer to the training data than {unseen} do, which chance could explain"
    side = "further from" if z > FAR else "no nearer to"
    return f"{side} the training data than {unseen} do: no sign of copying"


def _section(sections: dict[tuple[Any, ...], Section], quality: Mapping[str, Any]) -> Section:
    data, features = quality["data"], quality["features"]
    about = data["name"], data["variant"], data["split"], data["n"], features["name"]
    # data of one name may still differ (somebody's own file): then they are not the same data
    key = (*about, data.get("sha256"))
    return sections.setdefault(key, Section(*about, features.get("accuracy")))


def number(value: float | None) -> str:
    """Three digits, and a dash for no number.

    >>> number(0.96875), number(1234567.0), number(25), number(None)
    ('0.969', '1,230,000', '25', '–')
    """
    if value is None:
        return "–"
    short = f"{value:.3g}"
    return f"{float(short):,.0f}" if 1e3 <= abs(value) < 1e12 else short
