"""How many steps does a diffusion need, and with which sampler?

  genlab train experiment=digits_diffusion model.steps=1000 name=steps
  python benchmarks/sampler_quality.py RUN                    # 10,000 samples, 5 seeds: three hours
  python benchmarks/sampler_quality.py RUN --samples 2000     # 40 minutes
  python benchmarks/sampler_quality.py RUN --samples 64 --seeds 2 --short    # seconds

The Fréchet distance of samples to the training data, in the features that ``metric=frechet`` uses, by
each sampler with 5 to 1000 steps; ± is the standard error over seeds. Each distance is kept in
RUN/samplers as soon as it is known, so that a second call goes on where the first one ended. There,
``curve-N.png`` shows them all.

Required of 10,000 samples: DPM-Solver++(2M) with 20 steps, of the stochastic equation that the chain is
too, within 5 % of the distance of the 1000 steps of the model's own chain, or within two standard errors
of the difference.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import genlab  # sets OMP_WAIT_POLICY before torch is imported

# isort: split
import torch
from chart import Line, draw
from reporting import table, verdict
from torch import Tensor

from genlab.metrics import Features, Frechet, features_for
from genlab.runs import write_json

PART = "genlab.models.diffusion."


class Way(NamedTuple):
    """A sampler. calls: of the network for each of its steps."""

    name: str
    target: str
    steps: int
    calls: int = 1
    eta: float | None = None

    @property
    def node(self) -> dict[str, Any]:
        options = {} if self.eta is None else {"eta": self.eta}
        return {"_target_": PART + self.target, "steps": self.steps, **options}

    @property
    def file(self) -> str:
        eta = "" if self.eta is None else f"-eta{self.eta:g}"
        return f"{self.target.lower()}{eta}-{self.steps}"


DPM, SDE, OWN = "DPM-Solver++(2M)", "SDE-DPM-Solver++(2M)", "ancestral"
LONG = (
    *(Way(DPM, "DPMSolver", steps) for steps in (5, 10, 20, 50)),
    *(Way(SDE, "DPMSolver", steps, eta=1.0) for steps in (5, 10, 20, 50)),
    *(Way("DDIM", "DDIM", steps) for steps in (5, 10, 20, 50)),
    *(Way("Heun", "Heun", steps, 2) for steps in (5, 10, 25)),
    *(Way(OWN, "Ancestral", steps) for steps in (20, 50, 100, 1000)),
)
SHORT = (
    Way(DPM, "DPMSolver", 20),
    Way(SDE, "DPMSolver", 20, eta=1.0),
    Way(OWN, "Ancestral", 50),
)


class Judge:
    """Fréchet distances to the training data of a run."""

    def __init__(self, run: genlab.Run) -> None:
        self.run = run
        self.features: Features = features_for(run.data)
        run.data.setup("fit")
        train = run.data.dataset("train")
        self.real = train[torch.arange(len(train))].x
        test = run.data.dataset("test")
        self.floor = self.distance(test[torch.arange(len(test))].x)

    def distance(self, samples: Tensor) -> float:
        metric = Frechet(features=self.features)
        metric.update(self.real, real=True)
        metric.update(samples, real=False)
        found = metric.compute()["distance"]
        assert found is not None
        return found

    def of(self, way: Way, n: int, seed: int) -> float:
        """Computed, or read where it was computed before."""
        file = self.run.path / "samplers" / f"{way.file}-n{n}-seed{seed}.json"
        if not file.is_file():
            samples = self.run.sample(n, seed=seed, sampler=way.node)
            write_json(file, {"frechet": self.distance(samples)})
        return json.loads(file.read_text())["frechet"]


def measured(judge: Judge, ways: tuple[Way, ...], n: int, seeds: int) -> dict[Way, list[float]]:
    found: dict[Way, list[float]] = {way: [] for way in ways}
    for seed in range(seeds):
        for way in ways:
            found[way].append(judge.of(way, n, seed))
            print(f"seed {seed}, {way.name} {way.steps}: {found[way][-1]:.3f}", flush=True)
    return found


def error(values: list[float]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def lines(found: dict[Way, list[float]]) -> Iterator[Line]:
    for name in dict.fromkeys(way.name for way in found):
        of = [way for way in found if way.name == name]
        yield Line(
            name,
            tuple((way.steps * way.calls, fmean(found[way]), error(found[way])) for way in of),
        )


def near(few: list[float], many: list[float]) -> bool:
    """Whether few steps are within 5 % of many, or within two standard errors of the difference."""
    gap = fmean(few) - fmean(many)
    return gap <= 0.05 * fmean(many) or gap <= 2 * math.hypot(error(few), error(many))


def main() -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("run", type=Path)
    asked.add_argument("--samples", type=int, default=10_000)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--short", action="store_true", help="few samplers")
    words = asked.parse_args()
    judge = Judge(genlab.open(words.run))
    ways = SHORT if words.short else LONG
    found = measured(judge, ways, words.samples, words.seeds)
    table(
        ["sampler", "steps", "calls", "Fréchet distance", "±"],
        [
            [
                way.name,
                str(way.steps),
                str(way.steps * way.calls),
                f"{fmean(v):.3f}",
                f"{error(v):.3f}",
            ]
            for way, v in found.items()
        ],
    )
    print(f"{len(judge.real)} training data; test data in the place of samples: {judge.floor:.3f}")
    picture = judge.run.path / "samplers" / f"curve-{words.samples}.png"
    picture.write_bytes(
        draw(list(lines(found)), "calls of the network", "Frechet distance", judge.floor)
    )
    print(picture)
    own = max((way for way in ways if way.name == OWN), key=lambda way: way.steps)
    few = next(way for way in ways if way.name == SDE and way.steps == 20)
    required = (
        f"{few.steps} steps of {SDE} within 5 % or 2 standard errors of {own.steps} of the chain"
    )
    return verdict(near(found[few], found[own]), required)


if __name__ == "__main__":
    raise SystemExit(main())
