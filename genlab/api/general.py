"""Figures that any model of some kind of data has. Every process takes part in what they need."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.api.run import Run
from genlab.api.scorer import Scorer
from genlab.config import compose
from genlab.contracts import Batch, BatchSource, Figure, Matrix, Support, Surface
from genlab.gallery.likely import TITLES
from genlab.likelihood.needs import NEEDS
from genlab.metrics.base import spread
from genlab.training import TrainerSettings

SIDE = 96  # places along each side of the plane
HALF = 3.0  # of the square of the plane that is shown, as for samples
DRAWS = 2000  # samples of a table
WIDEST = 256  # columns of a table
SOLVED = ("likelihood.solver=rk4", "likelihood.steps=10")  # to a hundredth of a nat on swiss_roll


def general_figures(
    run: Run,
    settings: TrainerSettings,
    scorer: Scorer | None,
    held_out: Batch,
    split: str,
    seed: int,
) -> Iterator[Figure]:
    """Of points in the plane their density, of binary tables what occurs together.

    held_out: some data of the split.
    """
    spec = run.spec
    if spec.support is Support.REAL and spec.shape == (2,) and scorer is not None:
        smooth = _without_noise(run, settings, scorer, seed)
        yield from _density(smooth, held_out, TITLES[split])
    if spec.support is Support.BINARY and not spec.is_image and 2 <= spec.size <= WIDEST:
        samples = run.drawn_together(DRAWS, seed, None, settings).cpu()
        yield _together(samples.flatten(1), run.data.dataset(split), TITLES[split])


def _without_noise(run: Run, settings: TrainerSettings, scorer: Scorer, seed: int) -> Scorer:
    """This scorer, or the flow's in the place of a bound, whose noise would be all that is seen."""
    if scorer.likelihood.name == "exact" or not NEEDS["flow"].met(scorer.model):
        return scorer
    flow = compose(["likelihood=flow", *SOLVED]).resolved["likelihood"]
    return run.scorer(likelihood=flow, settings=settings, seed=seed)


def _density(scorer: Scorer, held_out: Batch, title: str) -> Iterator[Figure]:
    places = (torch.arange(SIDE) + 0.5) / SIDE * 2 * HALF - HALF
    x, y = torch.meshgrid(places, places.flip(0), indexing="xy")
    scored = scorer.given("the plane", torch.stack([x, y], -1).view(-1, 2))
    if scored is None or scored.reason:
        return
    values = torch.from_numpy(scored.nats).exp().view(SIDE, SIDE)
    result = scored.result
    yield Figure(
        "density",
        f"The density of the model over the plane ({result.guarantee}, {result.method}), and {title} "
        "beside it.",
        Surface(values, HALF, held_out.x.cpu()),
    )


def _together(samples: Tensor, data: BatchSource, title: str) -> Figure:
    x = data[spread(min(len(data), len(samples)), len(data))].x.flatten(1)
    shares = torch.stack([each.T @ each / len(each) for each in (x, samples)])
    return Figure(
        "occurring-together",
        f"How often two variables are 1 at once, each on the diagonal by itself: in {len(x):,} {title} "
        f"(left) and in {len(samples):,} samples (right), which differ by "
        f"{float((shares[0] - shares[1]).abs().max()):.3f} at most.",
        Matrix(shares),
    )
