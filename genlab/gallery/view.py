"""What a page shows of one run, read from its directory. What cannot be read becomes a reason.

Needs no torch, no data and no model: the run of a plugin that is gone can still be shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genlab.errors import UsageError
from genlab.gallery import answers, quality, selection, words
from genlab.gallery.curves import charts, read_curves
from genlab.gallery.kept import SETTINGS, kept, public
from genlab.gallery.likely import TITLES
from genlab.gallery.pictured import read_pictures
from genlab.gallery.scores import best, group_of, model_name, order, read_scores, subject_of
from genlab.gallery.selection import read_selection
from genlab.gallery.views import AnswerView, QualityView, RunView, ScoreView, StageView
from genlab.runs import RunDirectory, train_command
from genlab.trust import Refused, read_text


def read_view(path: Path, slug: str) -> RunView:
    """Read a run for its page.

    Raises UsageError where there is no run at all; a run whose record is broken is shown as such.
    """
    run = RunDirectory(path)
    view = RunView(slug, path.resolve().name)
    try:
        record = run.read()
        if not isinstance(record, dict):
            raise UsageError(f"{run.record} does not hold a run record")
    except UsageError as error:
        if not run.record.is_file():
            raise
        view.reason = f"{run.record.name} cannot be used: {error}".replace(f"{path}/", "")
        return view
    _read_record(view, run, record)
    _read_scores(view, run)
    _read_answers(view, run, record)
    _read_quality(view, run)
    read_pictures(view, run)
    _read_selection(view, record)
    _read_curves(view, run, record)
    view.files |= kept(run, record)
    return view


# -------------------------------------------------------------------------------------- the run's record


def _read_record(view: RunView, run: RunDirectory, record: Mapping[str, Any]) -> None:
    spec = record.get("spec") or {}
    view.model = model_name(run)
    view.data, view.variant = str(spec.get("name", view.data)), str(spec.get("variant", ""))
    view.datum = words.datum(spec)
    view.generative = record.get("generative") is not False
    view.status, view.reason = _status(run, record)
    view.command = train_command(public(record))
    view.facts = list(_facts(record))
    words_given = [str(word) for word in record.get("overrides") or []]
    named = [word.partition("=")[2] for word in words_given if word.startswith("experiment=")]
    view.experiment = named[-1] if named else ""
    view.summary = str(record.get("summary") or "")
    view.parameters = _number(record.get("parameters"))
    view.seconds = _number(record.get("training_seconds"))
    view.versions = list(_versions(record))
    _read_settings(view, run)


def _read_settings(view: RunView, run: RunDirectory) -> None:
    """With every default, where the run's pictures were drawn; else those that were given."""
    complete = run.figures / SETTINGS
    path = complete if complete.is_file() else run.config
    try:
        view.config = read_text(path, run.path)
    except Refused as error:
        view.problems.append(f"{path.name} is unreadable: {error}")


def _status(run: RunDirectory, record: Mapping[str, Any]) -> tuple[str, str]:
    """A word for the badge, and a sentence where the run did not complete."""
    status = str(record.get("status", "unknown"))
    progress = record.get("progress")
    where = f" in {words.stage(progress)}" if isinstance(progress, dict) else ""
    if status == "completed":
        return status, ""
    if status == "failed":
        return status, f"The run failed{where}: {record.get('error', 'no reason was recorded')}"
    if status == "running" and not _lives(run, record):
        seen = run.last_sign(record)
        return (
            "stopped",
            f"The run ended without a word{where}; its last sign of life is of {seen}.",
        )
    if status == "running":
        return status, f"The run is still going on{where}; what is here is not final."
    return status, f"The run was {status}{where}; what is here is not final."


def _lives(run: RunDirectory, record: Mapping[str, Any]) -> bool:
    try:
        return run.condition(record) == "running"
    except (
        OSError,
        AttributeError,
        TypeError,
    ):  # of a folder or a record that is not as it should be
        return False


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(record.get("parameters"), int):
        yield "Parameters", f"{record['parameters']:,}"
    if isinstance(record.get("training_seconds"), int | float):
        yield "Training time", words.duration(record["training_seconds"])
    yield "Seed", str(record.get("seed"))
    yield "Processes", str(record.get("world_size", "unknown"))
    yield "Threads", str(record.get("threads", "unknown"))
    if record.get("finished"):
        yield "Finished", str(record["finished"])


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else ""


def _versions(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sessions = record.get("sessions") or [{}]
    last = sessions[-1]
    for name, version in (last.get("versions") or {}).items():
        if version:
            yield str(name), str(version)
    for name, version in (record.get("plugins") or {}).items():
        yield f"plugin {name}", str(version)
    if last.get("git"):
        yield "commit", str(last["git"])
    yield "settings hash", str(record.get("fingerprint", "unknown"))


# ------------------------------------------------------------------------------------------------ scores


_SPLITS = {"test": 0, "val": 1, "train": 2}


def _read_scores(view: RunView, run: RunDirectory) -> None:
    scores, problems = read_scores(run)
    view.problems += problems
    ranked = sorted(scores, key=lambda score: _SPLITS.get(score["data"]["split"], len(_SPLITS)))
    view.scores = [score_view(score) for score in ranked]
    chosen = best(scores)
    view.headline = None if chosen is None else score_view(chosen)
    hashes = {str(s["data"]["split"]): s["data"].get("sha256") for s in ranked}
    view.versions += [(f"sha256 of {TITLES.get(k, k)}", sha) for k, sha in hashes.items() if sha]


def score_view(score: Mapping[str, Any]) -> ScoreView:
    nats, floor = score["nats"], (score.get("floor") or {}).get("nats")
    bits = score.get("bits_per_dim")
    floor_bits = (
        bits * floor / nats["mean"] if bits and floor is not None and nats["mean"] else None
    )
    low, high = words.limits(nats)
    return ScoreView(
        split=str(score["data"]["split"]),
        n=score["data"]["n"],
        number=words.number(nats),
        spoken=words.spoken(nats),
        original_scale=words.number(nats | {"mean": nats.get("mean_on_original_scale")})
        if nats.get("mean_on_original_scale") is not None
        else "",
        bits="" if bits is None else f"{bits:.3f}",
        floor="" if floor is None else f"{-floor:.2f}",
        floor_bits="" if floor_bits is None else f"{floor_bits:.3f}",
        method=str(nats["method"]),
        guarantee=str(nats["guarantee"]),
        weights=str((score.get("checkpoint") or {}).get("weights", "")),
        sentence=words.kind_of_number(nats, score["data"]["n"]),
        promise=words.GUARANTEES.get(str(nats["guarantee"]), ""),
        comparison=words.comparison(score),
        density=nats["measure"] == "density",
        nll=None if nats["mean"] is None else -nats["mean"],
        low=low,
        high=high,
        stderr=math.inf if nats.get("stderr") is None else nats["stderr"],
        subject=subject_of(score),
        group=order(group_of(score)),
    )


def _read_answers(view: RunView, run: RunDirectory, record: Mapping[str, Any]) -> None:
    found, problems = answers.read_answers(run)
    view.problems += problems
    ranked = sorted(found, key=lambda content: _SPLITS.get(content["data"]["split"], len(_SPLITS)))
    view.answers = [_answer_view(content, record) for content in ranked]


def _answer_view(content: Mapping[str, Any], record: Mapping[str, Any]) -> AnswerView:
    name, values, floor = content["metric"]["name"], content["values"], content["floor"]
    rows = []
    for key in content["metric"]["shown"]:
        kind, value = answers.kind_of(name, key), values[key]
        number = answers.with_error(value["mean"], value["stderr"], kind.scale)
        number = f"{number} {kind.unit}" if value["mean"] is not None else str(value["reason"])
        beside = f"{kind.scale * floor['values'][key]:.4g} {'%' if kind.unit == '%' else ''}"
        rows.append((kind.title, number.strip(), beside.strip()))
    return AnswerView(
        name=name.replace("_", " ").capitalize(),
        split=str(content["data"]["split"]),
        n=content["data"]["n"],
        values=rows,
        facts=[(answers.FACTS.get(str(k), str(k)), f"{v:,}") for k, v in content["facts"].items()],
        floor_of=str(floor["of"]),
        sentence=answers.sentence(name),
        remarks=answers.remarks(record, content),
    )


def _read_quality(view: RunView, run: RunDirectory) -> None:
    found, problems = quality.read_quality(run)
    view.problems += [problem for problem in problems if problem not in view.problems]
    own = [measured for measured in found if not quality.by_sampler(measured)]
    sections = quality.sections((run.path, measured) for measured in own)
    sections.sort(key=lambda section: _SPLITS.get(section.split, len(_SPLITS)))
    memorised = {_key(m): m["values"] for m in own if m["metric"]["name"] == "memorisation"}
    view.quality = [
        _quality_view(s, memorised.get((s.split, s.n, s.features), {})) for s in sections
    ]


def _key(measured: Mapping[str, Any]) -> tuple[str, int, str]:
    return measured["data"]["split"], measured["data"]["n"], measured["features"]["name"]


def _quality_view(section: quality.Section, memorised: Mapping[str, float | None]) -> QualityView:
    """section: of this run alone. memorised: what memorisation says of its samples."""
    training = section.reference
    (own,) = section.rows.values()
    return QualityView(
        section.split,
        section.n,
        section.seen_by,
        [
            (section.heading(c), quality.number(own.get(c)), quality.number(training.get(c)))
            for c in section.columns
            if own.get(c) is not None
        ],
        section.sentences,
        quality.verdict(own),
        quality.copying(memorised, section.n, TITLES.get(section.split, section.split)),
    )


# ------------------------------------------------------------------------------------------ the training


def _read_selection(view: RunView, record: Mapping[str, Any]) -> None:
    try:
        found = read_selection(record)
        if found is not None:
            view.selection_table = selection.table(found)
            view.selection_figure = selection.figure(found)
        view.selection = found
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        view.problems.append(f"the selection is unreadable: {type(error).__name__}: {error}")


def _read_curves(view: RunView, run: RunDirectory, record: Mapping[str, Any]) -> None:
    if not run.curves.is_file():
        return
    try:
        curves = read_curves(run.curves, run.path)
    except (OSError, ValueError) as error:
        view.problems.append(f"{run.curves.name} is unreadable: {error}")
        return
    names = [str(name) for name in record.get("stages") or curves]
    losses = record.get("losses") or {}
    for number, name in enumerate(names, 1):
        series = curves.get(name, {})
        found = charts(series)
        last = {key: line[-1][1] for key, line in series.items() if key.startswith("val/")}
        values = ", ".join(f"{key} {value:.4g}" for key, value in last.items())
        if found or (values and len(names) > 1):
            of = f"{number}/{len(names)}" if len(names) > 1 else ""
            loss = str(losses.get(name, ""))
            view.stages.append(StageView(name, of, loss, found, "" if found else values))
