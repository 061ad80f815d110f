"""Full precision means no autocast and no TF32, in products and convolutions; nothing stays changed."""

import pytest
import torch

from genlab.nn.precision import full_precision


@pytest.fixture
def fast():
    """TF32 wherever a GPU has it."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def state() -> tuple[str, bool, bool]:
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.is_autocast_enabled("cpu"),
    )


@pytest.mark.usefixtures("fast")
def test_nothing_is_rounded_inside_and_all_is_as_before_outside():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = state()
        with full_precision(torch.device("cpu")):
            assert state() == ("highest", False, False)
        assert state() == before == ("medium", True, True)


@pytest.mark.usefixtures("fast")
def test_an_error_inside_changes_nothing_either():
    before = state()
    with pytest.raises(ValueError, match="inside"), full_precision(torch.device("cpu")):
        raise ValueError("inside")
    assert state() == before
