"""Showing a run: its samples, test data to set beside them, and the figures that only its model has."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from genlab import randomness
from genlab.api.evidence import KINDS, kind_of, read_evidence
from genlab.api.neighbours import neighbours
from genlab.api.run import Run, require_label
from genlab.contracts import (
    Batch,
    Completes,
    DataError,
    Figure,
    HasFigures,
    UsageError,
)
from genlab.gallery.drawing import how_many
from genlab.gallery.store import (
    about_run,
    write_animations,
    write_completions,
    write_figures,
    write_reference,
    write_samples,
)
from genlab.progress import progress
from genlab.rank import rank
from genlab.runs import require_writable

SEED = 0  # of the samples that every run shows, so that runs can be laid side by side
NEIGHBOURS = 8  # samples shown beside training data


def show_run(run: Run) -> None:
    """Write samples beside test data, where the model draws any, and figures. Rank 0 alone does it."""
    if rank() != 0:
        return
    run.model.eval()
    about = about_run(run.record, SEED)
    near = _show_samples(run, about) if run.generative else ()
    write_figures(run.directory, chain(figures(run, SEED), near), seed=SEED, about=about)


def _show_samples(run: Run, about: Mapping[str, str]) -> Iterator[Figure]:
    """Write samples and test data; the figure of samples beside training data."""
    n = how_many(run.spec)
    command = f"genlab sample RUN --n {n} --seed {SEED}"
    samples = run.sample(n, seed=SEED)
    write_samples(run.directory.samples, samples, run.spec, seed=SEED, command=command, about=about)
    write_reference(run.directory, some_data(run, n).x.cpu(), run.spec)
    return neighbours(run.data.dataset("train"), samples[:NEIGHBOURS], run.spec)


def sample(
    run: Run,
    folder: Path,
    n: int,
    *,
    seed: int = 0,
    label: int | None = None,
    sampler: Mapping[str, Any] | None = None,
    guidance: float = 1.0,
    words: Sequence[str] = (),
) -> list[Path]:
    """Write n samples into folder, with single images and animated figures; returns the pictures.

    sampler: None is the model's own; words: those that named it. guidance: of ``Run.sample``.
    """
    require_writable(folder)
    command = f"genlab sample RUN --n {n} --seed {seed}"
    command += "" if label is None else f" --label {label}"
    other = [*words, *([f"--guidance {guidance:g}"] if guidance != 1 else [])]
    command += "".join(f" {word}" for word in other)
    about = about_run(run.record, seed)
    samples = run.sample(n, seed=seed, label=label, sampler=sampler, guidance=guidance)
    picture = write_samples(
        folder,
        samples,
        run.spec,
        seed=seed,
        command=command,
        about=about,
        label=label,
        sampler=" ".join(other),
        singles=True,
    )
    if other:  # figures are of the model's own way
        return [picture]
    try:
        return [picture, *write_animations(folder, figures(run, seed), seed=seed, about=about)]
    except DataError as error:
        print(f"no animations: {error}", file=sys.stderr)
        return [picture]


def complete(
    run: Run,
    folder: Path,
    file: Path,
    words: str,
    n: int,
    *,
    seed: int = 0,
    label: int | None = None,
    resize: bool = False,
) -> Path:
    """Write n completions of each datum in file, given what the words say of it and its label, if that
    is known; returns the picture.

    words: as ``read_evidence`` reads them.
    Raises UsageError where the model completes nothing of the kind or takes no label, or a file does not
    fit the data.
    """
    require_writable(folder)
    require_label(run.spec, label)
    kind, _ = kind_of(words)
    model = run.model
    takes = model.completes if isinstance(model, Completes) else frozenset()
    if not isinstance(model, Completes) or KINDS[kind] not in takes:
        known = " or ".join(name for name, each in KINDS.items() if each in takes)
        raise UsageError(
            f"--evidence {words}: {type(model).__name__} completes "
            + (f"{known} evidence only" if known else "nothing")
        )
    if n < 1:
        raise UsageError(f"--n {n} must be at least 1")
    evidence = read_evidence(file, words, run.spec, resize=resize)
    known = None if label is None else torch.full((1,), label, device=model.device)
    drawn = []
    with progress("complete", len(evidence)) as advance, torch.no_grad():
        for i in range(len(evidence)):
            noise = randomness.generator("complete", seed, i, device=model.device)
            one = evidence.map(lambda each, i=i: each[i : i + 1].to(model.device))
            drawn.append(model.complete(one, n, label=known, generator=noise).cpu())
            advance(i + 1, "completed")
    return write_completions(
        folder,
        torch.cat(drawn, dim=1),
        evidence,
        run.spec,
        seed=seed,
        words=words,
        label=label,
        about=about_run(run.record, seed),
    )


def some_data(run: Run, n: int, split: str = "test") -> Batch:
    """n rows of a split, evenly spread over it: rows may be sorted by class."""
    run.data.prepare_data()
    run.data.setup("test")
    dataset = run.data.dataset(split)
    rows = torch.linspace(0, len(dataset) - 1, min(n, len(dataset))).round().long()
    x, label, index = dataset[rows]
    device = run.model.device
    return Batch(x.to(device), None if label is None else label.to(device), index)


@torch.no_grad()
def figures(run: Run, seed: int) -> Iterator[Figure]:
    """What the model yields, one at a time; nothing where it has no figures."""
    model = run.model
    if not isinstance(model, HasFigures):
        return
    noise = randomness.generator("figures", seed, device=model.device)
    yield from model.figures(some_data(run, how_many(run.spec)), generator=noise)
