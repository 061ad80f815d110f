"""Made-up runs, written by hand: the gallery reads directories and knows no model."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from genlab.contracts import DataSpec
from genlab.gallery.store import (
    write_likelihoods,
    write_nearest,
    write_reference,
    write_samples,
)
from genlab.runs import RunDirectory, write_json, write_text

SPEC = DataSpec("bits", "fixed", (1, 8, 8), "binary")
NATS = np.linspace(-40, -10, 297)  # of test data
CURVES = (
    "stage,epoch,step,name,value\nfit,0,10,loss,25.5\nfit,0,10,val/nll,24.5\nfit,1,20,loss,20.0\n"
)


def score(spec: DataSpec, mean: float | None = -18.8, **nats: Any) -> dict[str, Any]:
    about = {"stderr": 0.2, "reason": None, "shared": None, "given": ""}
    kind = {"guarantee": "exact", "measure": "mass", "method": "enumeration"}
    data = {"name": spec.name, "variant": spec.variant, "split": "test", "n": 297}
    return {
        "schema": 1,
        "data": data | {"spec": dataclasses.asdict(spec)},
        "nats": {"mean": mean} | about | kind | nats,
        "bits_per_dim": None if mean is None else -mean / 44.4,
        "floor": {"nats": -25.2},
        "checkpoint": {"weights": "raw"},
        "created": "2026-01-01T00:00:00+00:00",
    }


@pytest.fixture
def make_score():
    return score


@pytest.fixture
def make_run(tmp_path: Path):
    """make_run(name, spec, scores, **record) → RunDirectory with samples, data and curves."""

    def make(
        name: str = "one",
        spec: DataSpec = SPEC,
        scores: tuple[dict[str, Any], ...] = (score(SPEC),),
        model: str = "acme.Imagined",
        **record: Any,
    ) -> RunDirectory:
        run = RunDirectory(tmp_path / "runs" / name)
        run.path.mkdir(parents=True)
        write_text(run.config, yaml.safe_dump({"model": {"_target_": model}}))
        known = {
            "status": "completed",
            "fingerprint": "f" * 64,
            "overrides": ["model=imagined", "data=bits"],
            "seed": 0,
            "schema": 1,
            "spec": dataclasses.asdict(spec),
            "stages": ["fit"],
            "parameters": 1234,
            "threads": 1,
            "world_size": 1,
            "sessions": [{"versions": {"torch": "2.13.0"}}],
            "training_seconds": 75.0,
        }
        write_json(run.record, known | record)
        for i, content in enumerate(scores):
            write_json(run.scores / f"test-{i}.json", content)
        x = (torch.rand(64, *spec.shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()
        write_samples(run.samples, x, spec, seed=0, command="genlab sample RUN --n 64 --seed 0")
        write_reference(run, x.flip(0), spec)
        nearest = {
            "samples": (x.roll(1, 0), torch.arange(64.0).sqrt()),
            "held out": (x.roll(2, 0), torch.full((64,), 3.0)),
        }
        about = {"seed": 0, "split": "test", "training": 1000, "looked_at": 1000}
        write_nearest(run, nearest, spec, **about)
        sets = {"samples": -20 - np.arange(64) / 8, "train": NATS + 2, "test": NATS}
        kind = {"guarantee": "exact", "measure": "mass", "method": "exact"}
        write_likelihoods(run, sets, {"split": "test", **kind}, seed=0)
        write_text(run.curves, CURVES)
        return run

    return make
