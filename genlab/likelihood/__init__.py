"""Estimators of log p(x) and the evaluation that runs them, the same on one process and on many.

| file | says |
|---|---|
| ``needs`` | what each estimator needs of a model, in the order in which ``auto`` asks |
| ``own`` | the model's own number: ``Exact``, ``Elbo`` |
| ``enumeration`` | a partition function by summing it out: ``Enumerated`` |
| ``importance`` | importance weights: ``ImportanceWeighted`` |
| ``annealing`` | a partition function by annealing from both ends: ``AnnealedImportance`` |
| ``flow`` | the probability-flow ODE: ``ProbabilityFlow`` |
| ``window`` | a kernel density of samples: the smoothed model |
| ``parzen`` | the historical Gaussian window on greys, beside its references |
| ``kernels``, ``bandwidth``, ``kmeans`` | what windows are made of |
| ``scoring`` | the scores of a split, and what may be said of their mean |
| ``floor`` | the independent model beside every score |
"""

from genlab.likelihood.annealing import AnnealedImportance
from genlab.likelihood.auto import auto
from genlab.likelihood.enumeration import Enumerated
from genlab.likelihood.flow import ProbabilityFlow
from genlab.likelihood.importance import ImportanceWeighted
from genlab.likelihood.own import Elbo, Exact
from genlab.likelihood.parzen import ParzenDensity
from genlab.likelihood.scoring import evaluate
from genlab.likelihood.window import KernelWindow

__all__ = [
    "AnnealedImportance",
    "Elbo",
    "Enumerated",
    "Exact",
    "ImportanceWeighted",
    "KernelWindow",
    "ParzenDensity",
    "ProbabilityFlow",
    "auto",
    "evaluate",
]
