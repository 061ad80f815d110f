"""Score files of runs: reading them, and grouping those that may be compared. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genlab import shapes
from genlab.errors import UsageError
from genlab.gallery.reading import of_runs
from genlab.gallery.words import GUARANTEES, REFERENCE, TRUST, interval, references
from genlab.runs import RunDirectory
from genlab.trust import read_json

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Row:
    """One score of one run. nll, stderr: nats, or None with a reason.

    nll_low, nll_high: between which the mean lies by an error common to all data (that of log Z);
    two_sided: whether both are bounds. references: nll of what stands beside this number by custom.
    """

    model: str
    run: str
    nll: float | None
    stderr: float | None
    reason: str | None
    bits_per_dim: float | None
    method: str
    weights: str
    parameters: int | None
    nll_low: float | None = None
    nll_high: float | None = None
    two_sided: bool = False
    references: dict[str, float] = field(default_factory=dict)


@dataclass
class Group:
    """Scores that may stand in one column: the same data and split, and the same kind of number.

    estimator: of estimates, which promise nothing and are comparable only with those of the same estimator
    with the same settings; else "".
    """

    data: str
    variant: str
    split: str
    n: int
    measure: str
    guarantee: str
    given: str
    estimator: str = ""
    floor: float | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def title(self) -> str:
        given = f", given the {self.given}" if self.given else ""
        by = f" by {self.estimator}" if self.estimator else ""
        return (
            f"{self.data} ({self.variant}), {self.split}, n={self.n}; log-likelihood: "
            f"{self.guarantee}{by}, {self.measure}{given}"
        )

    @property
    def explanation(self) -> str:
        return GUARANTEES.get(self.guarantee, "")


def read_scores(run: RunDirectory) -> tuple[list[dict[str, Any]], list[str]]:
    """The readable scores of a run, by file name, and for each unreadable one a sentence."""
    scores, problems = [], []
    for path in sorted(run.scores.glob("*.json")):
        try:
            scores.append(_checked(read_json(path, run.path)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{path.name} is unreadable: {type(error).__name__}: {error}")
    return scores, problems


def _checked(score: Any) -> dict[str, Any]:
    """The score, if it has what every reader needs. Raises KeyError, TypeError or ValueError."""
    shapes.require(score, shapes.SCORE)
    nats = score["nats"]
    shapes.optional(nats.get("bracket"), shapes.BRACKET, "bracket")
    shapes.optional(nats.get("shared"), [shapes.NUMBER], "shared")
    shapes.optional(score.get("floor"), {"nats?": shapes.NUMBER}, "floor")
    if nats.get("shared") is not None and len(nats["shared"]) != 2:
        raise ValueError("shared is no interval")
    for name, value in (nats.get("diagnostics") or {}).items():
        if name.startswith(REFERENCE):
            shapes.require(value, shapes.MAYBE, name)
    return score


def model_name(run: RunDirectory) -> str:
    """The class of the run's model, from its config.yaml; "unknown model" where that cannot be read.

    That of a function is its name in capitals: of "gmmn_ae", "GMMN+AE".
    """
    try:
        target = run.read_config()["model"]["_target_"]
    except (UsageError, KeyError, TypeError):
        return "unknown model"
    name = str(target).rpartition(".")[2]
    return name.replace("_", "+").upper() if name.islower() else name


def best(scores: Iterable[Mapping[str, Any]], split: str = "test") -> Mapping[str, Any] | None:
    """The score of a split that can be trusted most; of several, the newest."""
    usable = [s for s in scores if s["data"]["split"] == split and s["nats"]["mean"] is not None]
    newest = sorted(usable, key=lambda s: str(s.get("created")), reverse=True)
    return min(newest, key=_distrust, default=None)


def _distrust(score: Mapping[str, Any]) -> tuple[int, bool]:
    """The guarantee first; then a density of discrete data, which has no floor beside it, comes last."""
    return _trust(str(score["nats"]["guarantee"])), score.get("floor") is None


def _trust(guarantee: str) -> int:
    return TRUST.index(guarantee) if guarantee in TRUST else len(TRUST)


def compare(paths: Iterable[Path], split: str | None = "test") -> tuple[list[Group], list[str]]:
    """The scores of runs in groups that may be compared, best first in each; and what was unreadable.

    split: None for every split. Raises UsageError where a path is no run directory.
    """
    groups: dict[Key, Group] = {}
    found, problems = of_runs(paths, split, read_scores)
    for run, record, score in found:
        _add(groups, run, record, score)
    for group in groups.values():
        group.rows.sort(key=lambda row: (row.nll is None, row.nll or 0.0, row.run))
    return [groups[key] for key in sorted(groups, key=order)], problems


def _add(
    groups: dict[Key, Group],
    run: RunDirectory,
    record: Mapping[str, Any],
    score: Mapping[str, Any],
) -> None:
    key = group_of(score)
    data, variant, split, *kind, n, _ = key
    group = groups.setdefault(key, Group(data, variant, split, n, *kind, floor=_floor(score)))
    group.rows.append(_row(run, record, score))


def subject_of(score: Mapping[str, Any]) -> Key:
    """Equal for scores of the same quantity of the same data, whatever kind of number they are."""
    data, nats = score["data"], score["nats"]
    names = str(data["name"]), str(data["variant"]), str(data["split"])
    # Data of one name may still differ (somebody's own file): then they are not the same data.
    identity = json.dumps([data.get("spec"), data.get("sha256")], sort_keys=True)
    return (*names, str(nats["measure"]), str(nats.get("given") or ""), data["n"], identity)


def group_of(score: Mapping[str, Any]) -> Key:
    """Equal for scores that may be compared as they stand."""
    *names, measure, given, n, identity = subject_of(score)
    guarantee, asked = str(score["nats"]["guarantee"]), score.get("likelihood") or {}
    estimator = str(asked.get("name", "")) if guarantee == "estimate" else ""
    # Estimates of other settings are other numbers: the n of a window is worth a hundred nats.
    settings = json.dumps(asked.get("parameters") if estimator else None, sort_keys=True)
    return (*names, measure, guarantee, given, estimator, n, identity + settings)


def order(key: Key) -> tuple[Any, ...]:
    """Groups are sorted by data, and for one data set by what can be trusted most."""
    return (*key[:3], _trust(key[4]), *map(str, key[3:]))


def _floor(score: Mapping[str, Any]) -> float | None:
    """The negative log-likelihood of independent entries, nats."""
    floor = (score.get("floor") or {}).get("nats")
    return None if floor is None else -floor


def _row(run: RunDirectory, record: Mapping[str, Any], score: Mapping[str, Any]) -> Row:
    nats = score["nats"]
    low, high, two_sided = interval(nats) or (None, None, False)
    return Row(
        model=model_name(run),
        run=run.path.resolve().name,
        nll=None if nats["mean"] is None else -nats["mean"],
        stderr=nats.get("stderr"),
        reason=nats.get("reason"),
        bits_per_dim=score.get("bits_per_dim"),
        method=_method(score, record),
        weights=str((score.get("checkpoint") or {}).get("weights", "")),
        parameters=record.get("parameters"),
        nll_low=low,
        nll_high=high,
        two_sided=two_sided,
        references=references(nats),
    )


def _method(score: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """How it was computed, with precision and seed where they are not the usual ones."""
    asked = score.get("likelihood") or {}
    precision, seed = asked.get("precision", "32-true"), asked.get("seed")
    unusual = [] if precision == "32-true" else [str(precision)]
    unusual += [] if seed in (None, record.get("seed")) else [f"seed {seed}"]
    return ", ".join([str(score["nats"]["method"]), *unusual])
