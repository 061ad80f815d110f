"""Showing a run: its samples, test data to set beside them, and the figures that only its model has."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import torch

from genlab import randomness
from genlab.api.run import Run
from genlab.contracts import Batch, Figure, HasFigures
from genlab.gallery.drawing import how_many
from genlab.gallery.store import about_run, write_figures, write_reference, write_samples
from genlab.launch import rank

SEED = 0  # of the samples that every run shows, so that runs can be laid side by side
ROWS = 64  # test data shown, and given to the model to make its figures of


def show_run(run: Run) -> None:
    """Write samples, test data and figures into the run directory. Rank 0 alone does it."""
    if rank() != 0:
        return
    run.model.eval()
    n = how_many(run.spec)
    command = f"genlab sample RUN --n {n} --seed {SEED}"
    about = about_run(run.record, train_command(run), SEED)
    samples = run.sample(n, seed=SEED)
    write_samples(run.directory.samples, samples, run.spec, seed=SEED, command=command, about=about)
    write_reference(run.directory, some_data(run, n).x.cpu(), run.spec)
    write_figures(run.directory, figures(run, SEED), seed=SEED, about=about)


def train_command(run: Run) -> str:
    return shlex.join(["genlab", "train", *run.record["overrides"]])


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
    yield from model.figures(some_data(run, ROWS), generator=noise)
