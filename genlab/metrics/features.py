"""What samples are compared by: the penultimate layer of a classifier that genlab trains on the set itself.

A Fréchet distance means something only inside one feature network, so a network has a name with the hash
of its weights, such as "cnn64-1a2b3c", and is kept once trained. Data without labels are compared as they
are, under the name "raw".
"""

from __future__ import annotations

import hashlib
import io
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genlab.contracts import DataError, DataModule, DataSpec, GenlabError
from genlab.contracts.loading import shuffled, stretches
from genlab.data import fingerprint
from genlab.data.files import cache
from genlab.memory import rows_at_once
from genlab.nn.precision import full_precision
from genlab.progress import progress
from genlab.randomness import generator, scope
from genlab.runs import atomic, digest
from genlab.trust import Refused
from genlab.trust.tensors import read_checkpoint

VERSION = 1  # of everything below that decides the weights: raise it with any change
WIDTH = 64  # of the penultimate layer
CHANNELS = (16, 32, 64)
BATCH = 100
STEPS = 2000  # at most, and
EPOCHS = 60  # at most
RATE = 3e-3
# Against learning the training data by heart, which hurts on a thousand digits:
NOISE = 0.05  # share of a datum's entries that are taken from another one
DROPOUT = 0.5  # of the 64 units
SMOOTHING = 0.1  # of the labels


class Features(nn.Module):
    """A fixed map of data to vectors, (B, *shape) → (B, d) float32.

    name: of this very map. accuracy: of the classifier that it is part of, on held-out data, in [0, 1].
    """

    name: str
    accuracy: float | None

    @torch.no_grad()
    def of(self, x: Tensor) -> Tensor:
        """(N, *shape) → (N, d), as many at a time as fit in memory."""
        bytes_per_row = 4 * 64 * x[0].numel() if len(x) else 1
        rows = rows_at_once(
            len(x), bytes_per_row, x.device, what="datum's features", lower="samples", most=1000
        )
        with full_precision(x.device):
            return torch.cat([self(part) for part in x.split(rows)])


class Raw(Features):
    """The data themselves, as vectors."""

    name = "raw"
    accuracy = None

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Classifier(nn.Module):
    """Three 3×3 convolutions, the last two of stride 2, a layer of 64 rectified units, and the logits."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        for out, stride in zip(CHANNELS, (1, 2, 2), strict=True):
            layers += [
                nn.Conv2d(channels, out, 3, stride, padding=1),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
            channels = out
        size = channels * math.ceil(height / 4) * math.ceil(width / 4)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(size, WIDTH), nn.ReLU())
        self.logits = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            other = x[torch.randperm(len(x))]
            x = torch.where(torch.rand_like(x) < NOISE, other, x)
        return self.logits(F.dropout(self.body(x), DROPOUT, self.training))


class Penultimate(Features):
    """The 64 rectified units below the logits of a trained classifier."""

    def __init__(self, classifier: Classifier, accuracy: float) -> None:
        super().__init__()
        self.body = classifier.body.eval().requires_grad_(False)
        self.accuracy = accuracy
        self.name = f"cnn{WIDTH}-{_weights_hash(self.body)[:6]}"

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def features_for(data: DataModule) -> Features:
    """The features in which samples of these data are compared.

    Images that have labels, or labelled relatives, get the features of a classifier, trained now or
    taken from the cache; all other data are compared as they are.
    Raises DataError where the labelled relatives' files are missing.
    """
    labelled = data.labelled
    if labelled is None or not labelled.spec.is_image:
        return Raw()
    try:
        labelled.prepare_data()
        labelled.setup("fit")
        path = cache() / "features" / f"{_identity(labelled)[:16]}.pt"
    except DataError as error:
        about = f"{labelled.spec.name} ({labelled.spec.variant})"
        raise DataError(f"features are learned from the labels of {about}: {error}") from None
    return _read(path, labelled.spec) or _learn(path, labelled)


def _identity(data: DataModule) -> str:
    """Of everything that decides the weights, up to rounding."""
    settings = [VERSION, WIDTH, CHANNELS, BATCH, STEPS, EPOCHS, RATE, NOISE, DROPOUT, SMOOTHING]
    about = {"settings": settings, "classes": data.spec.classes}
    return digest(about | {"train": fingerprint(data, "train")})


def _learn(path: Path, data: DataModule) -> Features:
    """Train a classifier, and keep it."""
    with _one_thread():
        classifier = train(data)
        accuracy = accuracy_of(classifier, data, "test")
    buffer = io.BytesIO()
    torch.save({"state": classifier.state_dict(), "accuracy": accuracy}, buffer)
    try:
        with atomic(path) as file:
            file.write(buffer.getvalue())
    except (OSError, GenlabError) as error:
        print(
            f"features are trained anew each time, as they cannot be kept: {error}", file=sys.stderr
        )
    return Penultimate(classifier, accuracy)


def _read(path: Path, spec: DataSpec) -> Features | None:
    """The features that were kept; None where there are none, or the file is damaged."""
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = read_checkpoint(path)
        with scope(
            "features"
        ):  # first weights, soon replaced, are no reason to touch a random state
            classifier = Classifier(spec.shape, spec.classes)
        classifier.load_state_dict(content["state"])
        return Penultimate(classifier, float(content["accuracy"]))
    except (Refused, RuntimeError, KeyError, TypeError, ValueError) as error:
        print(f"{path} is damaged ({type(error).__name__}): it is made anew", file=sys.stderr)
        return None


def train(data: DataModule) -> Classifier:
    """A classifier of the training data's labels, by Adam, the rate rising and falling to zero.

    It is the same for the same data on the same machine, and touches no random state but its own.
    """
    dataset: Any = data.dataset("train")
    what, steps = f"features of {data.spec.name}", min(STEPS, EPOCHS * -(-len(dataset) // BATCH))
    with scope("features"), torch.enable_grad(), progress(what, steps) as advance:
        classifier = Classifier(data.spec.shape, data.spec.classes)
        optimizer = torch.optim.Adam(classifier.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for step, rows in enumerate(islice(_batches(dataset), steps)):
            x, label, _ = dataset[rows]
            loss = F.cross_entropy(classifier(x), label, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            advance(step + 1, "steps")
    return classifier.eval()


def _batches(dataset: Any) -> Iterator[Tensor]:
    """Rows of epoch after epoch, whole batches only where there are enough data."""
    redraw = getattr(dataset, "set_epoch", lambda epoch: None)
    epoch = 0
    while True:
        redraw(epoch)
        order = shuffled(dataset, generator("features", epoch))
        n = len(dataset)
        whole = max(1, n // BATCH) * BATCH
        yield from map(order, stretches(min(n, whole), BATCH))
        epoch += 1


@torch.no_grad()
def accuracy_of(classifier: Classifier, data: DataModule, split: str) -> float:
    """The share of a split whose label is predicted."""
    dataset, right = data.dataset(split), 0
    for rows in stretches(len(dataset), 1000):
        x, label, _ = dataset[rows]
        right += int((classifier(x).argmax(1) == label).sum())
    return right / len(dataset)


def _weights_hash(module: nn.Module) -> str:
    total = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        total.update(name.encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums are taken in the same order whatever the number of processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
