"""Showing a run: its samples, test data to set beside them, and the figures that only its model has."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab import randomness
from genlab.api.evidence import KINDS, kind_of, read_evidence
from genlab.api.general import general_figures
from genlab.api.nearest import looked_at, nearest
from genlab.api.run import Run, require_label
from genlab.api.scorer import Scorer
from genlab.api.settings import every_setting
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
    write_likelihoods,
    write_nearest,
    write_reference,
    write_samples,
    write_settings,
)
from genlab.progress import progress
from genlab.rank import rank
from genlab.runs import require_writable
from genlab.training import TrainerSettings

SEED = 0  # of the samples that every run shows, so that runs can be laid side by side
GOLDEN = (5**0.5 - 1) / 2  # whose multiples are spread over [0, 1) after any number of them
TRAINING = 1000  # training data whose likelihood is shown, at most


def show_run(
    run: Run,
    settings: TrainerSettings | None = None,
    *,
    scorer: Scorer | None = None,
    split: str = "test",
) -> None:
    """Write samples beside data of the split, where the model draws any, figures and every setting.

    scorer: says how likely the model finds both; None where no split was scored. Every process takes part
    in drawing and scoring, and rank 0 writes.
    """
    require_writable(run.directory.path)
    settings = settings or run.settings
    run.model.eval()
    drawn = run.drawn_together(how_many(run.spec), SEED, None, settings) if run.generative else None
    likely = None
    if drawn is not None and scorer is not None and split in scorer.scored:
        likely = _likelihoods(run, scorer, drawn, split)
    some = some_data(run, how_many(run.spec), split)
    general = (
        list(general_figures(run, settings, scorer, some, split, SEED)) if run.generative else []
    )
    if rank() != 0:
        return
    about = about_run(run.record, SEED)
    if drawn is not None:
        _write_samples(run, drawn, some.x.cpu(), split, about)
    if likely is not None:
        write_likelihoods(run.directory, *likely, seed=SEED)
    shown = chain(general, figures(run, SEED))
    write_figures(run.directory, shown, seed=SEED, about=about)
    write_settings(run.directory, every_setting(run))


def _likelihoods(
    run: Run, scorer: Scorer, samples: Tensor, split: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """(n,) nats of samples, of training data and of the split, and what kind of number they are.

    On rank 0; None elsewhere, and where a number is not to be trusted.
    """
    n = min(TRAINING, len(run.data.dataset(split)))
    found = {
        "samples": scorer.given("samples", samples),
        "train": scorer.given("training data", some_data(run, n, "train").x),
        split: scorer.scored[split],
    }
    sets = {name: scored for name, scored in found.items() if scored is not None}
    if len(sets) < len(found) or any(scored.reason for scored in sets.values()):
        return None
    of = sets[split].result
    about = {"guarantee": str(of.guarantee), "measure": str(of.measure), "method": of.method}
    return {name: scored.nats for name, scored in sets.items()}, about | {"split": split}


def _write_samples(
    run: Run, drawn: Tensor, data: Tensor, split: str, about: Mapping[str, str]
) -> None:
    """Write samples, data of the split, and the training data nearest to the samples."""
    n, samples = len(drawn), drawn.cpu()
    command = f"genlab sample RUN --n {n} --seed {SEED}"
    write_samples(run.directory.samples, samples, run.spec, seed=SEED, command=command, about=about)
    write_reference(run.directory, data, run.spec, split=split)
    train = run.data.dataset("train")
    write_nearest(
        run.directory,
        {"samples": nearest(train, samples), "held out": nearest(train, data)},
        run.spec,
        seed=SEED,
        split=split,
        training=len(train),
        looked_at=len(looked_at(train, samples)),
    )


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


def some_data(run: Run, n: int, split: str = "test", *, mixed: bool = False) -> Batch:
    """n rows of a split, evenly spread over it, as rows may be sorted by class.

    mixed: in an order whose first few are spread over the split too, for whoever shows no more.
    """
    run.data.prepare_data()
    run.data.setup("test")
    dataset = run.data.dataset(split)
    rows = torch.linspace(0, len(dataset) - 1, min(n, len(dataset))).round().long()
    if mixed:
        rows = rows[torch.argsort(torch.arange(len(rows)) * GOLDEN % 1)]
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
    some = some_data(run, how_many(run.spec), mixed=True)
    yield from model.figures(some, generator=noise)
