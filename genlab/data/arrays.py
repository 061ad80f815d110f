"""The data module over arrays in memory: a batch is one indexing operation."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from genlab.contracts import Batch, DataModule, DataSpec, Support
from genlab.data.preprocess import Preprocess
from genlab.data.source import Source, check_split


class ArrayDataset:
    """One split in memory. ``dataset[rows]`` is a Batch; ``dataset[torch.arange(len(dataset))]`` all of it.

    A training split that redraws itself does so in ``set_epoch``; until then it is at epoch 0.
    """

    def __init__(self, source: Source, preprocess: Preprocess, split: str) -> None:
        self._source, self._preprocess, self._split = source, preprocess, split
        label = source.arrays(split).label
        self.label = None if label is None else torch.from_numpy(label.astype("int64"))
        self.epoch = 0
        self.values = preprocess.values(source, split)
        levels = source.levels if preprocess.support is Support.LEVELS else None
        self._top = None if levels is None else levels - 1

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Tensor) -> Batch:
        """rows: (B,) int64 → x: (B, *shape) float32, label: (B,) int64 or None, index: rows."""
        x = self.values.index_select(0, rows).float()
        if self._top is not None:
            x.div_(self._top)
        label = None if self.label is None else self.label.index_select(0, rows)
        return Batch(x, label, rows)

    def set_epoch(self, epoch: int) -> None:
        """Redraw the training data for this epoch, where the preprocess redraws."""
        if self._split == "train" and self._preprocess.redraws and epoch != self.epoch:
            self.values = self._preprocess.values(self._source, self._split, epoch)
            self.epoch = epoch


class ArrayData(DataModule):
    """A source seen through a preprocess. Files are read when a split is first asked for.

    relative: labelled data of the same kind, for a source that has no labels.
    """

    def __init__(
        self,
        source: Source,
        preprocess: Preprocess,
        batch_size: int = 100,
        relative: DataModule | None = None,
    ) -> None:
        super().__init__(batch_size)
        self._relative = relative
        preprocess.check(source)
        self.source = source
        self.preprocess = preprocess
        self._kept: dict[str, ArrayDataset] = {}

    @cached_property
    def spec(self) -> DataSpec:
        source, preprocess = self.source, self.preprocess
        return DataSpec(
            name=source.name,
            variant=", ".join(filter(None, [source.version, preprocess.variant(source)])),
            shape=source.shape,
            support=preprocess.support,
            levels=source.levels if preprocess.support is Support.LEVELS else None,
            log_scale=preprocess.log_scale(source),
            classes=source.classes,
        )

    @property
    def labelled(self) -> DataModule | None:
        return self._relative or super().labelled

    def dataset(self, split: str) -> ArrayDataset:
        """The split, kept once made; one that redraws itself is made anew, at epoch 0, for each caller."""
        check_split(split)
        if split == "train" and self.preprocess.redraws:
            return ArrayDataset(self.source, self.preprocess, split)
        if split not in self._kept:
            self._kept[split] = ArrayDataset(self.source, self.preprocess, split)
        return self._kept[split]
