"""The conformance suite, for authors of models: ``genlab.testing.check_model(MyModel)``.

    from genlab.testing import assert_conforms

    def test_my_model():
        assert_conforms(lambda spec: MyModel(spec, hidden=16))

The model is built on spaces small enough to be enumerated, trained on a skewed distribution, and held
to every promise of its base classes: an EXACT likelihood sums to one and describes the samples, weights
have the right mean, generators are respected, completions follow the conditional, …

| file | says |
|---|---|
| ``conformance`` | ``check_model``: which spaces, which checks |
| ``spaces`` | spaces that can be enumerated, and skewed training data |
| ``training`` | brief training, watching the gradients |
| ``subject`` | the trained model, with what several checks ask of it |
| ``check``, ``checks/`` | what a check is, and all of them |
| ``processes``, ``pair`` | ``check_processes``: runs on two processes, and the launch that makes them |
| ``statistics`` | G-test, estimates with standard errors |
| ``ambient`` | the global random state around a model |
| ``report`` | what was found |
"""

from genlab.testing.check import Check, check
from genlab.testing.checks import CHECKS
from genlab.testing.conformance import assert_conforms, check_model
from genlab.testing.data import check_data
from genlab.testing.likelihoods import check_likelihood
from genlab.testing.metrics import check_metric
from genlab.testing.parametrize import parametrize_checks
from genlab.testing.processes import check_processes
from genlab.testing.report import Report, Result, Status

__all__ = [
    "CHECKS",
    "Check",
    "Report",
    "Result",
    "Status",
    "assert_conforms",
    "check",
    "check_data",
    "check_likelihood",
    "check_metric",
    "check_model",
    "check_processes",
    "parametrize_checks",
]
