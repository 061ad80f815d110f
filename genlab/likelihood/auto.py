"""The most trustworthy estimator that a model's capabilities allow."""

from __future__ import annotations

from genlab.contracts import GenerativeModel, Likelihood
from genlab.likelihood.annealing import AnnealedImportance
from genlab.likelihood.enumeration import Enumerated
from genlab.likelihood.flow import ProbabilityFlow
from genlab.likelihood.importance import ImportanceWeighted
from genlab.likelihood.needs import NEEDS
from genlab.likelihood.own import Elbo, Exact
from genlab.likelihood.parzen import ParzenDensity
from genlab.likelihood.window import KernelWindow

ESTIMATORS: dict[str, type[Likelihood]] = {
    e.name: e
    for e in (
        Exact,
        Enumerated,
        ImportanceWeighted,
        Elbo,
        AnnealedImportance,
        ProbabilityFlow,
        KernelWindow,
        ParzenDensity,
    )
}


def auto(model: GenerativeModel) -> Likelihood:
    """The first estimator in the order of ``NEEDS`` that this model can have."""
    name = next(name for name, need in NEEDS.items() if need.met(model))
    return ESTIMATORS[name](model)
