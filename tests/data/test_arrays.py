import numpy as np
import pytest
import torch

from genlab.contracts import Support, UsageError
from genlab.data import (
    ArrayData,
    Arrays,
    Bernoulli,
    Source,
    Standardise,
    Threshold,
    digits,
    toy2d,
)

MAKERS = {
    "levels": digits,
    "binary": lambda: digits(preprocess=Threshold(8)),
    "dynamic": lambda: digits(preprocess=Bernoulli()),
    "real": lambda: toy2d(n=250),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_batch_is_rows_of_the_split(make, split):
    data = make()
    dataset = data.dataset(split)
    rows = torch.tensor([3, 1, 40])
    batch, whole = dataset[rows], dataset[torch.arange(len(dataset))]
    assert batch.x.shape == (3, *data.spec.shape)
    assert batch.x.dtype == torch.float32
    assert data.spec.contains(whole.x)
    assert torch.equal(batch.x, whole.x[rows])
    assert batch.index is not None
    assert batch.index.tolist() == [3, 1, 40]
    if data.spec.classes:
        assert batch.label is not None
        assert batch.label.dtype == torch.int64
    else:
        assert batch.label is None


def test_an_empty_batch_keeps_its_shape():
    assert digits().dataset("test")[torch.arange(0)].x.shape == (0, 1, 8, 8)


def test_a_batch_is_a_copy():
    dataset = digits(preprocess=Threshold(8)).dataset("test")
    dataset[torch.arange(5)].x.fill_(7)
    assert dataset[torch.arange(5)].x.max() <= 1


def test_arrays_are_bytes_side_by_side():
    for make in MAKERS.values():
        values = make().dataset("train").values
        assert values.is_contiguous()
        assert values.dtype == (
            torch.float32 if make().preprocess.support == "real" else torch.uint8
        )


def test_an_unknown_split_is_a_usage_error():
    with pytest.raises(UsageError, match="no split 'valid': choose train, val or test"):
        digits().dataset("valid")


def test_a_batch_needs_a_datum():
    with pytest.raises(UsageError, match="batch_size=0"):
        digits(batch_size=0)


def test_levels_can_be_standardised_where_none_is_constant():
    class Stripes(Source):
        def read(self, split: str) -> Arrays:
            return Arrays(np.array([[0, 16], [8, 4], [16, 9]], np.uint8))

    data = ArrayData(Stripes("stripes", (2,), levels=17), Standardise())
    assert (data.spec.support, data.spec.levels) == (Support.REAL, None)
    assert data.dataset("train").values.dtype == torch.float32
