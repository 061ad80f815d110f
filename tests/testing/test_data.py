"""The checks of data modules: honest ones pass, and each fault is found by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genlab.contracts import Batch, DataModule, DataSpec, Rows, Support
from genlab.data import digits, heartbeat, toy2d
from genlab.testing import check_data
from genlab.testing.data import BUILT, DATA_CHECKS

FAULTS: list[tuple[type[DataModule], str]] = []


def caught_by(check: str):
    def register(data: type[DataModule]) -> type[DataModule]:
        FAULTS.append((data, check))
        return data

    return register


class Honest(DataModule):
    """Standardised normal numbers with labels."""

    made = Rows
    classes = 3

    def __init__(self) -> None:
        super().__init__(batch_size=32)

    @property
    def spec(self) -> DataSpec:
        return DataSpec("made", "up", (4,), Support.REAL, classes=self.classes)

    def dataset(self, split: str):
        return self.made(*self.draw({"train": 0, "val": 1, "test": 2}[split]))

    def draw(self, seed: int) -> tuple[Tensor, Tensor | None]:
        generator = torch.Generator().manual_seed(seed)
        label = torch.randint(3, (400,), generator=generator) if self.classes else None
        return torch.randn(400, 4, generator=generator), label


class Unlabelled(Honest):
    classes = 0


@caught_by(BUILT)
class EmptyValidation(Honest):
    def draw(self, seed):
        x, label = super().draw(seed)
        return (x[:0], label[:0]) if seed == 1 else (x, label)


@caught_by(BUILT)
class NoTest(Honest):
    def dataset(self, split):
        return {"train": super().dataset, "val": super().dataset}[split](split)


@caught_by("data_are_what_the_spec_says")
class Doubles(Honest):
    def draw(self, seed):
        x, label = super().draw(seed)
        return x.double(), label


@caught_by("data_are_what_the_spec_says")
class Flat(Honest):
    @property
    def spec(self):
        return DataSpec("made", "up", (2, 2), Support.REAL, classes=3)


@caught_by("data_are_what_the_spec_says")
class Greys(Honest):
    @property
    def spec(self):
        return DataSpec("made", "up", (4,), Support.BINARY, classes=3)


@caught_by("labels_are_what_the_spec_says")
class LabelsFromOne(Honest):
    def draw(self, seed):
        x, label = super().draw(seed)
        return x, label + 1


@caught_by("labels_are_what_the_spec_says")
class LabelsUnmentioned(Honest):
    @property
    def spec(self):
        return DataSpec("made", "up", (4,), Support.REAL)


class _Nameless(Rows):
    def __getitem__(self, rows):
        return super().__getitem__(rows)._replace(index=None)


@caught_by("index_says_which_datum")
class NamelessRows(Honest):
    made = _Nameless


class _Places(Rows):
    def __getitem__(self, rows):
        return super().__getitem__(rows)._replace(index=torch.arange(len(rows)))


@caught_by("index_says_which_datum")
class PlacesForRows(Honest):
    made = _Places


class _Centred(Rows):
    def __getitem__(self, rows):
        batch = super().__getitem__(rows)
        return batch._replace(x=batch.x - batch.x.mean(0))


@caught_by("rows_can_be_asked_for_in_any_order")
class CentredBatches(Honest):
    made = _Centred


class _Noisy(Rows):
    def __getitem__(self, rows):
        batch = super().__getitem__(rows)
        return batch._replace(x=batch.x + 0.01 * torch.randn(batch.x.shape))


@caught_by("rows_can_be_asked_for_in_any_order")
class NoisyBatches(Honest):
    made = _Noisy


class _Views(Rows):
    def __getitem__(self, rows):
        first, last = int(rows.min()), int(rows.max()) + 1
        straight = torch.equal(rows, torch.arange(first, last))
        x = self.x[first:last] if straight else self.x[rows]
        return Batch(x, self.label[rows], rows)


@caught_by("batches_are_copies")
class Views(Honest):
    made = _Views

    def __init__(self) -> None:
        super().__init__()
        self.kept = {split: super(Views, self).dataset(split) for split in ("train", "val", "test")}

    def dataset(self, split):
        return self.kept[split]


@caught_by("built_again_it_is_the_same")
class GlobalDraws(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.offset = torch.rand(())

    def draw(self, seed):
        x, label = super().draw(seed)
        return x + 0.01 * self.offset, label


@caught_by("splits_are_apart")
class TestIsTraining(Honest):
    __test__ = False

    def draw(self, seed):
        return super().draw(seed % 2)


@caught_by("reals_are_standardised")
class Raw(Honest):
    def draw(self, seed):
        x, label = super().draw(seed)
        return 5 * x + 20, label


@caught_by("an_epoch_is_every_datum_once")
class WithReplacement(Honest):
    def train_dataloader(self):
        rows = torch.randint(400, (400,), generator=torch.Generator().manual_seed(0))
        return [self.dataset("train")[rows]]


@caught_by("an_epoch_is_every_datum_once")
class InOrder(Honest):
    def train_dataloader(self):
        return self._loader("train", shuffle=False)


class _Ordered(Rows):
    """Those of the first half come first."""

    def order(self, generator):
        halves = torch.arange(len(self)).chunk(2)
        return torch.cat([half[torch.randperm(len(half), generator=generator)] for half in halves])


class Ordered(Honest):
    made = _Ordered


class _Lazy(Rows):
    """Its order is a function of places."""

    def order(self, generator):
        return torch.randperm(len(self), generator=generator).__getitem__


class Lazy(Honest):
    made = _Lazy


class _OfTheBatch(Rows):
    def order(self, generator):
        order = torch.randperm(len(self), generator=generator)
        return lambda places: order[places.sort().values]


@caught_by("an_order_follows_from_the_generator")
class OrderOfTheBatch(Honest):
    """Which row stands at a place depends on the other places of the batch."""

    made = _OfTheBatch


class _Drawn(_Ordered):
    def order(self, generator):
        return torch.randint(len(self), (len(self),), generator=generator)


@caught_by("an_order_follows_from_the_generator")
class OrderWithReplacement(Honest):
    made = _Drawn


class _Global(_Ordered):
    def order(self, generator):
        return torch.randperm(len(self))


@caught_by("an_order_follows_from_the_generator")
class OrderOfGlobalDraws(Honest):
    made = _Global


class _Counting(_Ordered):
    calls = 0

    def order(self, generator):
        self.calls += 1
        return super().order(generator).roll(self.calls)


@caught_by("an_order_follows_from_the_generator")
class OrderOfCalls(Honest):
    made = _Counting


class _Fixed(_Ordered):
    def order(self, generator):
        return torch.arange(len(self)).flip(0)


@caught_by("an_order_follows_from_the_generator")
class OrderOfNoGenerator(Honest):
    made = _Fixed


@caught_by("copies_work")
class OpenFile(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.lines = (line for line in ())


@pytest.mark.parametrize("build", [Honest, Unlabelled, Ordered, Lazy, digits, heartbeat, toy2d])
def test_honest_data_pass(build):
    report = check_data(build)
    assert report.passed, str(report)
    assert report.ran >= len(DATA_CHECKS) - 1


@pytest.mark.parametrize(("data", "check"), FAULTS, ids=lambda it: getattr(it, "__name__", it))
def test_a_fault_is_found_by_name(data, check):
    report = check_data(data)
    assert check in {result.check for result in report.failed}, str(report)


def test_every_check_finds_a_fault():
    assert {check.name for check in DATA_CHECKS} <= {name for _, name in FAULTS}


def test_data_whose_files_are_missing_are_not_said_to_be_right(monkeypatch, tmp_path):
    from genlab.data import mnist

    monkeypatch.setenv("GENLAB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    report = check_data(mnist)
    assert not report.passed
    assert "is missing" in report.verdict()
