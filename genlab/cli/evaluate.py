"""Score runs: how likely are data they have not seen, what do they answer, how good are their samples?

  genlab evaluate RUN --split test
  genlab evaluate RUN likelihood=elbo trainer=ddp_cpu
  genlab evaluate RUN metric=all samples=2000
  genlab evaluate RUN metric=frechet sampler=dpm sampler.steps=20
  genlab evaluate EXPORT -o found
  genlab evaluate RUN gallery=true

Model and data come from the run; likelihood, trainer and seed may be set anew. With neither likelihood=…
nor metric=… a run gets what training gives it: its likelihood, and the metrics of its answers
(classification, reconstruction) that it can have. metric=… computes no likelihood unless likelihood=… is
given too; metric=all is every metric that the model can have. gallery=true draws what the page of a run
shows, as training does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genlab.api import Run

SETTABLE = ("likelihood", "metric", "samples", "sampler", "trainer", "seed", "gallery")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="+", metavar="RUN|key=value", help="runs and settings")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument(
        "-o",
        "--out",
        metavar="DIR",
        help="where to keep the files; a run keeps its own, an export none",
    )
    parser.add_argument("--json", action="store_true", help="print the files written")


def run(args: argparse.Namespace) -> int:
    import json

    from genlab.api import open
    from genlab.cli.arguments import runs_and_overrides
    from genlab.cli.words import describe_any
    from genlab.config import compose
    from genlab.errors import UsageError
    from genlab.rank import rank
    from genlab.spelling import suggest

    paths, overrides = runs_and_overrides(args.words)
    tops = {word.lstrip("+~").split("=")[0].split(".")[0] for word in overrides}
    for top in tops - set(SETTABLE):
        raise UsageError(f"{top}: a run's {top} is given by the run{suggest(top, SETTABLE)}")
    if args.out is not None and len(paths) > 1:
        raise UsageError(
            f"-o {args.out}: name one run, not {len(paths)}, whose files would be mixed up"
        )
    composed = compose(overrides)
    asked = _Asked(composed.resolved, tops, args.split, composed.choices["metric"] == "all")
    found = [result for path in paths for result in asked.of(open(path, args.out))]
    if rank() == 0:
        lines = [describe_any(result) for result in found]
        print(json.dumps(found, indent=2) if args.json else "\n".join(lines))
    return 0


class _Asked:
    """What the words ask of each run. tops: the keys that were given; everything: metric=all was."""

    def __init__(
        self, config: dict[str, Any], tops: set[str], split: str, everything: bool
    ) -> None:
        from genlab.api.metrics import check_metrics
        from genlab.api.plan import seed_of
        from genlab.components import build, coerce
        from genlab.errors import UsageError

        self.split, self.everything = split, everything
        self.seed = seed_of(config) if "seed" in tops else None
        self.n = coerce(config.get("samples"), int | None, "samples")
        self.metrics = coerce(config.get("metric"), dict | None, "metric")
        if "samples" in tops and not self.metrics:
            raise UsageError("samples=… is for metric=…: name one, or metric=all")
        self.sampler = config.get("sampler")
        if self.sampler and not self.metrics:
            raise UsageError("sampler=… is for metric=…: name one, or metric=all")
        check_metrics(self.metrics or {})
        self.shown = "gallery" in tops and bool(config["gallery"])
        self.usual = not self.metrics and "likelihood" not in tops
        self.likelihood = config["likelihood"] if "likelihood" in tops else None
        self.settings = build(config["trainer"], where="trainer") if "trainer" in tops else None

    def of(self, run: Run) -> Iterator[dict[str, Any]]:
        """The scores and measurements; nothing on ranks other than 0."""
        from genlab.api.show import show_run
        from genlab.errors import UsageError

        if self.shown and run.directory.exported:
            raise UsageError(
                f"{run.path} is an export, which nothing changes: gallery=true is for runs"
            )
        scorer = None
        if self.likelihood or (self.usual and run.generative):
            scorer = run.scorer(likelihood=self.likelihood, settings=self.settings, seed=self.seed)
            score = scorer.split(self.split)
            yield from [] if score is None else [score]
        if self.metrics or self.usual:
            yield from run.measure(
                self.metrics,
                self.split,
                n=self.n,
                seed=self.seed,
                settings=self.settings,
                sampler=self.sampler,
                everything=self.everything,
            )
        if self.shown:
            show_run(run, self.settings, scorer=scorer, split=self.split)
