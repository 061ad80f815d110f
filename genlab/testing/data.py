"""Data modules: ``check_data`` builds one, reads its splits, and holds it to what it says of itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from genlab.contracts import Batch, BatchSource, DataError, DataModule, Support
from genlab.contracts.loading import shuffled
from genlab.testing.check import Check, Skip, check, describe, expect
from genlab.testing.report import Report, Result, Status

BUILT = "data_can_be_built_and_set_up"
SPLITS = ("train", "val", "test")
MOST = 2000  # data of a split that are looked at, spread over it
CENTRED, SCALED = 0.1, 0.2  # how far mean and log of the deviation of REAL data may be from 0


class DataSubject:
    """A data module that has been set up, and what its splits hold."""

    enumerable = False

    def __init__(self, build: Callable[[], DataModule], seed: int) -> None:
        self.build, self.seed = build, seed
        self.thing = self.fresh()
        self.title = f"{self.thing.spec.name} ({self.thing.spec.variant})"

    def fresh(self) -> DataModule:
        data = self.build()
        data.prepare_data()
        data.setup("fit")
        data.shuffle_seed = self.seed
        return data

    @cached_property
    def sources(self) -> dict[str, BatchSource]:
        return {split: self.thing.dataset(split) for split in SPLITS}

    def rows(self, split: str) -> Tensor:
        """Numbers of at most MOST data, spread over a split."""
        n = len(self.sources[split])
        expect(n > 0, f"{split} is empty: train, val and test must each hold data")
        return torch.arange(0, n, max(1, n // MOST))

    @cached_property
    def batches(self) -> dict[str, Batch]:
        return {split: self.sources[split][self.rows(split)] for split in SPLITS}


def check_data(build: Callable[[], DataModule], *, seed: int = 0) -> Report:
    """Check a data module. build: makes it, ``lambda: MyData(folder="…")``; called more than once.

    Nothing of its own is raised: see the report. Where files are missing nothing is checked.
    """
    try:
        subject = DataSubject(build, seed)
        assert subject.batches
    except Exception as error:
        name = getattr(build, "__name__", type(build).__name__)
        missing = isinstance(error, DataError)
        status = Status.SKIPPED if missing else Status.FAILED
        message = str(error) if missing else describe(error)
        return Report(name, (Result(BUILT, "", status, 0.0, message),))
    results = [check.run(subject) for check in DATA_CHECKS if check.applies(subject)]
    built = Result(BUILT, subject.title, Status.PASSED, 0.0)
    return Report(type(subject.thing).__name__, (built, *results))


@check(
    "dataset(split)[rows] must be a Batch whose x is float32 of shape (B, *spec.shape), inside the support"
)
def data_are_what_the_spec_says(s: DataSubject) -> None:
    spec = s.thing.spec
    for split, batch in s.batches.items():
        shape = tuple(batch.x.shape)
        expect(shape == (len(s.rows(split)), *spec.shape), f"{split}: x has the shape {shape}")
        expect(batch.x.dtype == torch.float32, f"{split}: x is {batch.x.dtype}")
        expect(spec.contains(batch.x), f"{split}: a datum is outside of {spec.support}")


@check("labels must be int64 from 0 to spec.classes − 1, and missing where there are no classes")
def labels_are_what_the_spec_says(s: DataSubject) -> None:
    classes = s.thing.spec.classes
    for split, batch in s.batches.items():
        if not classes:
            expect(batch.label is None, f"{split} has labels, and spec.classes is 0")
            continue
        assert batch.label is not None, f"{split} has none"
        low, high = int(batch.label.min()), int(batch.label.max())
        expect(batch.label.dtype == torch.int64, f"{split}: they are {batch.label.dtype}")
        expect(low >= 0 and high < classes, f"{split}: from {low} to {high}, of {classes} classes")


@check("Batch.index must say which datum each row is, as scores are written by it")
def index_says_which_datum(s: DataSubject) -> None:
    for split, source in s.sources.items():
        rows = s.rows(split).flip(0)[:7]
        index = source[rows].index
        assert index is not None, f"{split}: it is None"
        expect(torch.equal(index, rows), f"{split}: it is {index.tolist()} for {rows.tolist()}")


@check("a row must be the same datum alone, in any order and when asked for again")
def rows_can_be_asked_for_in_any_order(s: DataSubject) -> None:
    for split, source in s.sources.items():
        rows = s.rows(split)[:7].flip(0)
        together = source[rows].x
        alone = torch.cat([source[row[None]].x for row in rows])
        expect(torch.equal(together, alone), f"{split}: alone it is another")
        expect(torch.equal(together, source[rows].x), f"{split}: the second time it is another")


@check("what a batch holds belongs to whoever got it: writing into it must not change the data")
def batches_are_copies(s: DataSubject) -> None:
    rows = torch.arange(min(5, len(s.sources["train"])))
    before = s.sources["train"][rows].x.clone()
    s.sources["train"][rows].x.add_(1.0)
    s.sources["train"][torch.arange(1)].x.add_(1.0)
    expect(torch.equal(s.sources["train"][rows].x, before), "the training data have changed")


@check("the same arguments must give the same data, whatever the state of the global generators")
def built_again_it_is_the_same(s: DataSubject) -> None:
    torch.rand(3)
    other = s.fresh()
    expect(other.spec == s.thing.spec, f"{other.spec} is not {s.thing.spec}")
    for split in SPLITS:
        rows = s.rows(split)
        same = torch.equal(other.dataset(split)[rows].x, s.batches[split].x)
        expect(same, f"{split} is another")


@check("held-out data must not be training data: a split must not be another one over again")
def splits_are_apart(s: DataSubject) -> None:
    sizes = {split: len(source) for split, source in s.sources.items()}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        rows = torch.arange(min(sizes[a], sizes[b], MOST))
        same = torch.equal(s.sources[a][rows].x, s.sources[b][rows].x)
        constant = bool((s.sources[a][rows].x == s.sources[a][rows[:1]].x).all())
        expect(not same or constant, f"{a} and {b} begin with the same {len(rows)} data")


@check(
    "REAL data must be standardised by the training data: each entry of mean 0 and deviation 1, as"
    " densities are compared in these units and spec.log_scale leads back"
)
def reals_are_standardised(s: DataSubject) -> None:
    if s.thing.spec.support is not Support.REAL:
        raise Skip("the data are discrete")
    x = s.batches["train"].x.flatten(1).double()
    mean, deviation = x.mean(0), x.std(0)
    moving = deviation > 0
    noise = 5 / len(x) ** 0.5
    expect(mean.abs().max() < CENTRED + noise, f"a mean is {mean.abs().max():.3g}")
    far = deviation[moving].log().abs().max() if moving.any() else torch.zeros(())
    expect(far < SCALED + noise, f"a deviation is e^±{far:.3g}")


@check(
    "the loader must hand out every training datum once in an epoch, in an order that follows from the seed"
    " and the epoch: use DataModule's own loaders"
)
def an_epoch_is_every_datum_once(s: DataSubject) -> None:
    n = len(s.sources["train"])
    if n > 20 * MOST:
        raise Skip(f"{n} training data are too many to go through")
    first, again = (_order(s.fresh()) for _ in range(2))
    expect(torch.equal(first.sort().values, torch.arange(n)), "some come twice, or never")
    expect(torch.equal(first, again), "the same seed gives another order")
    expect(n < 10 or not torch.equal(first, torch.arange(n)), "they are not shuffled")


def _order(data: DataModule) -> Tensor:
    return torch.cat([batch.index for batch in data.train_dataloader()])


@check(
    "order(generator), where a data set has one, must give each row once, shuffled, and depend on the"
    " generator alone: it is asked again in other processes and after a crash"
)
def an_order_follows_from_the_generator(s: DataSubject) -> None:
    train = s.sources["train"]
    if getattr(train, "order", None) is None:
        raise Skip("genlab shuffles the data")
    n, first = len(train), _whole(train, 1)
    shape = tuple(first.shape)
    expect(first.dtype == torch.int64 and shape == (n,), f"it is {first.dtype} of shape {shape}")
    expect(torch.equal(first.sort().values, torch.arange(n)), "some come twice, or never")
    torch.rand(3)
    for other in (train, s.fresh().dataset("train")):
        expect(torch.equal(first, _whole(other, 1)), "the same generator gives another order")
    expect(
        n < 10 or not torch.equal(first, _whole(train, 2)), "another generator gives the same order"
    )
    places = torch.arange(n).flip(0)[:7]
    rows = shuffled(train, torch.Generator().manual_seed(1))(places)
    expect(torch.equal(rows, first[places]), "a place of it depends on what else is asked for")


def _whole(train: BatchSource, seed: int) -> Tensor:
    """All of an order; Skip where it is a function, and of too many data to be written down."""
    order = train.order(torch.Generator().manual_seed(seed))  # type: ignore[attr-defined]
    n = len(train)
    if not isinstance(order, Tensor) and n > 20 * MOST:
        raise Skip(f"{n} training data are too many to go through")
    return order if isinstance(order, Tensor) else order(torch.arange(n))


@check("copy.deepcopy must give a data module that works: other processes get copies")
def copies_work(s: DataSubject) -> None:
    rows = s.rows("val")[:5]
    twin = copy.deepcopy(s.thing)
    expect(
        torch.equal(twin.dataset("val")[rows].x, s.sources["val"][rows].x), "its data are others"
    )


DATA_CHECKS = tuple(value for value in list(vars().values()) if isinstance(value, Check))
