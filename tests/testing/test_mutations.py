"""The proof that the suite works: honest models pass, and each fault is found by its check."""

import pytest

from genlab.testing import CHECKS, assert_conforms, check_model
from tests.testing.broken import FAULTS
from tests.testing.honest import HONEST


@pytest.mark.parametrize("model", HONEST, ids=lambda model: model.__name__)
def test_an_honest_model_passes(model):
    assert_conforms(model)


@pytest.mark.parametrize(
    ("model", "check", "telling"), FAULTS, ids=[f"{m.__name__}-{check}" for m, check, _ in FAULTS]
)
def test_a_fault_is_found_by_name_in_words_that_tell(model, check, telling):
    report = check_model(model, train_steps=300)
    said = [result.message for result in report.failed if result.check == check]
    assert said, str(report)
    assert any(telling in message for message in said), said
    with pytest.raises(AssertionError, match=check):
        report.raise_if_failed()


def test_every_check_finds_a_fault():
    """A check that no broken model needs is a check that nobody has seen fail."""
    assert {check.name for check in CHECKS} <= {name for _, name, _ in FAULTS}
