"""Do MADE and zuko's flows find the entropy of the same Gaussian data?

    python benchmarks/gaussian.py [--rows N] [--epochs N] [--models maf,nsf,made]

Draws of a correlated normal distribution in six dimensions become an .npz file (data=npz). Each model is
trained on it by ``genlab.train`` and scored on 100,000 test data. In nats of the standardised data no model
can be above minus the entropy on average; the distribution's own density on the same test data tells how
far these are from their expectation.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import torch

import genlab

SIZE = 6
TEST = 100_000
BATCH = 500
MODELS = {
    "maf": ["model=maf"],
    "nsf": ["model=nsf"],
    "made": ["model=made", "model.hidden=[64,64]"],  # its head on real data: ten Gaussians
}


def gaussian(
    rows: int, test: int
) -> tuple[dict[str, np.ndarray], torch.distributions.MultivariateNormal]:
    """Arrays train: (rows, 6), val and test, and the distribution that they come from."""
    stream = np.random.Generator(np.random.PCG64(0))
    factor = np.tril(stream.normal(size=(SIZE, SIZE)), -1) + np.diag([2, 1, 0.5, 1, 0.3, 3])
    mean = stream.normal(size=SIZE)

    def draw(n: int) -> np.ndarray:
        return (mean + stream.normal(size=(n, SIZE)) @ factor.T).astype(np.float32)

    arrays = {"train": draw(rows), "val": draw(10_000), "test": draw(test)}
    return arrays, torch.distributions.MultivariateNormal(
        torch.tensor(mean), scale_tril=torch.tensor(factor)
    )


def measure(
    names: list[str], rows: int, epochs: int, test: int = TEST, batch: int = BATCH
) -> dict[str, float]:
    """Mean nats on standardised test data by name; "entropy" is the limit, "truth" the density itself."""
    arrays, normal = gaussian(rows, test)
    scale = float(np.log(arrays["train"].std(0, dtype=np.float64)).sum())
    truth = float(normal.log_prob(torch.tensor(arrays["test"], dtype=torch.float64)).mean())
    found = {"entropy": scale - float(normal.entropy()), "truth": truth + scale}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gaussian.npz"
        np.savez(file, allow_pickle=False, **arrays)
        common = [
            "data=npz",
            f"data.path={file}",
            f"data.batch_size={batch}",
            f"stages.fit.max_epochs={epochs}",
            "optimizer=adam",
            "optimizer.lr=2e-3",
            "evaluate=[test]",
            "gallery=false",
            f"folder={folder}/runs",
        ]
        for name in names:
            (score,) = genlab.train(*MODELS[name], *common).scores
            found[name] = score["nats"]["mean"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--models", default=",".join(MODELS))
    given = parser.parse_args()
    found = measure(given.models.split(","), given.rows, given.epochs)
    noise = math.sqrt(SIZE / 2 / TEST)
    print(
        f"\nminus the entropy {found['entropy']:.4f}; its density {found['truth']:.4f} ± {noise:.4f}"
    )
    for name in given.models.split(","):
        print(f"{name:6}{found[name]:9.4f}  {found[name] - found['entropy']:+.4f} from the entropy")


if __name__ == "__main__":
    main()
