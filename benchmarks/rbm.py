"""How fast is contrastive divergence as a loss under the Trainer, beside libraries that update by hand?

  python benchmarks/rbm.py [EPOCHS [ROWS]]

Required: CD-1 of a restricted Boltzmann machine of 784 × 500 units in batches of 100 is at least 1.15 times
as fast an epoch as scikit-learn's ``BernoulliRBM`` in float32, and at least twice as fast as learnergy's
``RBM``, all on one thread. A library that is not installed is left out, and said to be. learnergy does not
come with genlab: ``pip install --target FOLDER --no-deps learnergy`` and PYTHONPATH=FOLDER.

Everything runs in one process. ``genlab.train`` trains with all its own callbacks, centred; before each of
its epochs each library takes one over the same rows. scikit-learn's chains are persistent, which costs the
same as CD-1. Times are those of the processor, medians over epochs after the first; ratios are
medians of each epoch's own ratio. A genlab epoch runs from its start to the start of validation, of which
the libraries have none. Data: random bits.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import genlab  # sets OMP_WAIT_POLICY before torch is imported

# isort: split
import numpy as np
import torch
from pytorch_lightning import Callback, Trainer
from reporting import random_bits, table, verdict

from genlab.targets import allow_targets

HIDDEN, BATCH = 500, 100
REQUIRED = {"scikit-learn": 1.15, "learnergy": 2.0}


def scikit_learn(x: np.ndarray) -> Callable[[], Any]:
    from sklearn.neural_network import BernoulliRBM

    machine = BernoulliRBM(HIDDEN, learning_rate=0.1, batch_size=BATCH, n_iter=1, random_state=0)
    machine.fit(x[:BATCH])  # and again at each epoch: its weights are drawn in a moment
    assert machine.components_.dtype == np.float32
    return lambda: machine.fit(x)


def learnergy(x: np.ndarray) -> Callable[[], Any]:
    from learnergy.models.bernoulli import RBM

    logging.disable(logging.INFO)
    machine = RBM(x.shape[1], HIDDEN, steps=1, learning_rate=0.1, use_gpu=False)
    rows = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.zeros(len(x)))
    return lambda: machine.fit(rows, batch_size=BATCH, epochs=1)


PEERS = {"scikit-learn": ("sklearn", scikit_learn), "learnergy": ("learnergy", learnergy)}


def installed(x: np.ndarray) -> dict[str, Callable[[], Any]]:
    """An epoch of each library that is there."""
    found = {}
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name} is not installed: left out")
        else:
            found[name] = make(x)
    return found


class Interleaved(Callback):
    """Runs an epoch of each library before each epoch of the run, and times them all."""

    def __init__(self, peers: dict[str, Callable[[], Any]]) -> None:
        self.peers = peers
        self.times: dict[str, list[float]] = {name: [] for name in [*peers, "genlab"]}

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        for name, epoch in self.peers.items():
            start = time.process_time()
            epoch()
            self.times[name].append(time.process_time() - start)
        self.start = time.process_time()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        self.times["genlab"].append(time.process_time() - self.start)


def interleaved() -> Interleaved:
    """What the configuration names as its callback: the one of this run."""
    return CALLBACK


def report(times: dict[str, list[float]], batches: int) -> int:
    ours, rows, missed = times["genlab"][1:], [], 0
    ratios = {}
    for name, each in times.items():
        ratios[name] = median(b / a for a, b in zip(ours, each[1:], strict=True))
        seconds = median(each[1:])
        rows.append(
            [name, f"{seconds:.3f}", f"{1e3 * seconds / batches:.2f}", f"{ratios[name]:.2f}"]
        )
    print(f"784 × {HIDDEN} units, batches of {BATCH}; medians of {len(ours)} epochs")
    table(["processor time", "s an epoch", "ms a step", "of genlab's"], rows)
    for name, required in REQUIRED.items():
        if name in ratios:
            missed |= verdict(ratios[name] >= required, f"{required} times as fast as {name}")
    return missed


if __name__ == "__main__":
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    torch.set_num_threads(1)
    allow_targets(["__main__."])
    with tempfile.TemporaryDirectory() as folder:
        path = random_bits(Path(folder), count)
        x = np.load(path)["train"].reshape(count, -1).astype(np.float32)
        CALLBACK = Interleaved(installed(x))
        genlab.train(
            "model=rbm",
            f"model.hidden={HIDDEN}",
            "model.learning.sampler=cd",
            "data=npz",
            f"data.path={path}",
            f"data.batch_size={BATCH}",
            "optimizer=sgd",
            "optimizer.momentum=0.0",
            f"stages.rbm.max_epochs={epochs}",
            "trainer=cpu",
            "trainer.threads=1",
            "+callbacks.clock._target_=__main__.interleaved",
            "evaluate=[]",
            "gallery=false",
            f"folder={folder}",
        )
        raise SystemExit(report(CALLBACK.times, count // BATCH))
