"""Which spaces are tried, what is counted, and that a verdict is the same every time."""

from dataclasses import replace

import pytest
import torch

from genlab.contracts import DataSpec, Support, UnsupportedData
from genlab.testing import Report, Status, check_model
from tests.testing.honest import (
    Bottleneck,
    Factorised,
    Gaussian,
    Guided,
    Line,
    Mixture,
    NaiveBayes,
    Softmax,
)


def spaces(report: Report) -> list[str]:
    return list(dict.fromkeys(r.space for r in report.results if r.status is Status.PASSED))


def test_every_support_is_tried_and_refusals_are_told():
    report = check_model(Factorised)
    assert spaces(report) == ["BINARY 1x2x2", "LEVELS 1x2x2 5 levels"]
    refused = report.results[-1]
    assert refused.status is Status.SKIPPED
    assert "takes BINARY or LEVELS" in refused.message


def test_the_smallest_space_that_is_not_refused_is_taken():
    class Wide(Mixture):
        supports = frozenset({Support.BINARY})

        def __init__(self, spec):
            if spec.size < 16:
                raise UnsupportedData("too small")
            super().__init__(spec)

    report = check_model(Wide)
    assert spaces(report) == ["BINARY 1x4x4"]
    assert report.passed, str(report)
    assert spaces(check_model(Line)) == ["REAL 1"]


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (Mixture, DataSpec("mine", "fixed", (1, 8, 8), Support.BINARY)),
        (Mixture, DataSpec("mine", "fixed", (30,), Support.LEVELS, levels=17)),
        (Gaussian, DataSpec("mine", "fixed", (5,), Support.REAL)),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_a_space_too_large_to_enumerate_is_tested_for_the_rest(model, spec):
    report = check_model(model, spec=spec, draws=1000)
    assert report.passed, str(report)
    assert report.ran > 20
    assert any("too large" in result.message for result in report.of(Status.SKIPPED))


def test_labels_are_there_where_the_data_have_classes():
    spec = DataSpec("mine", "fixed", (1, 2, 2), Support.BINARY, classes=3)
    assert check_model(Mixture, spec=spec).passed


def test_a_model_that_tells_labels_is_given_some():
    assert spaces(check_model(Softmax)) == [
        "BINARY 1x2x2 3 labels",
        "LEVELS 1x2x2 5 levels 3 labels",
        "REAL 2 3 labels",
    ]
    assert spaces(check_model(NaiveBayes)) == ["BINARY 1x2x2", "BINARY 1x2x2 3 labels"]


def test_a_model_that_draws_nothing_is_held_to_what_it_promises():
    report = check_model(Bottleneck)
    assert spaces(report) == ["LEVELS 1x2x2 5 levels", "REAL 2"]
    checks = {result.check for result in report.results}
    assert "codes_of_a_datum_ignore_their_batch" in checks
    assert not any("sample" in name for name in checks)


def test_no_check_at_all_is_a_failure():
    def refuse(spec):
        raise UnsupportedData("never")

    report = check_model(refuse)
    assert report.ran == 0
    with pytest.raises(AssertionError, match="not a single check ran"):
        report.raise_if_failed()


def test_an_error_while_building_is_a_failure_with_its_place():
    def stumble(spec):
        raise KeyError("width")

    report = check_model(stumble)
    assert len(report.failed) == 3
    assert "KeyError: 'width' at test_conformance.py:" in report.failed[0].message


def test_verdicts_repeat_and_the_global_random_state_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = check_model(Mixture)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = check_model(Mixture)
    assert [replace(r, seconds=0) for r in first.results] == [
        replace(r, seconds=0) for r in second.results
    ]


def test_the_report_is_a_table():
    report = check_model(Gaussian)
    table = str(report)
    assert "exact_likelihood_sums_to_one" in table
    assert f"Gaussian: {report.ran} checks passed" in table


def test_a_model_with_samplers_is_guided_by_labels():
    spec = DataSpec("mine", "fixed", (1, 2, 2), Support.BINARY, classes=3)
    assert check_model(Guided, spec=spec).passed
