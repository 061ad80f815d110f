"""No datum of a pass is lost or counted twice."""

from __future__ import annotations

import numpy as np
import pytest

from genlab.blocks import in_order
from genlab.contracts import GenlabError


def part(rows: list[int]):
    return np.array(rows), {"value": -np.array(rows, dtype=float)}, None


def test_rows_are_put_in_order():
    assert in_order([part([2, 3]), part([0, 1])], 4)["value"].tolist() == [0, -1, -2, -3]


@pytest.mark.parametrize("parts", [[part([0, 1])], [part([0, 1]), part([1, 2])]])
def test_lost_or_repeated_rows_are_an_error(parts):
    with pytest.raises(GenlabError, match="were scored"):
        in_order(parts, 3)
