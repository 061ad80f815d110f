import numpy as np
import pytest

from genlab.contracts import UsageError
from genlab.data import Arrays, Source


class Columns(Source):
    """Rows whose numbers lie apart in memory, as np.unpackbits leaves them. reads: how often."""

    reads = 0

    def read(self, split: str) -> Arrays:
        self.reads += 1
        return Arrays(np.asfortranarray(np.eye(4, dtype=np.uint8)))


def test_rows_lie_side_by_side_whatever_the_source_reads():
    assert Columns("columns", (4,), levels=2).arrays("train").x.flags.c_contiguous


def test_a_split_is_read_once():
    source = Columns("columns", (4,), levels=2)
    assert source.arrays("val") is source.arrays("val")
    assert source.reads == 1


def test_an_unknown_split_is_a_usage_error():
    with pytest.raises(UsageError, match="no split 'valid'"):
        Columns("columns", (4,)).arrays("valid")
