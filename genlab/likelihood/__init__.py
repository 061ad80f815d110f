"""Estimators of log p(x) and the evaluation that runs them, the same on one process and on many.

| file | says |
|---|---|
| ``needs`` | what each estimator needs of a model, in the order in which ``auto`` asks |
| ``own`` | the model's own number: ``Exact``, ``Elbo`` |
| ``enumeration`` | models of an energy by their exact partition function: ``Enumerated`` |
| ``importance`` | the bound of many importance weights: ``ImportanceWeighted`` |
| ``annealing`` | the partition function by annealing, from both ends: ``AnnealedImportance`` |
| ``scoring`` | a split scored in blocks; every per-example value once |
| ``floor`` | the independent model beside every score |
"""

from genlab.likelihood.annealing import AnnealedImportance
from genlab.likelihood.auto import auto
from genlab.likelihood.enumeration import Enumerated
from genlab.likelihood.importance import ImportanceWeighted
from genlab.likelihood.own import Elbo, Exact
from genlab.likelihood.scoring import evaluate

__all__ = [
    "AnnealedImportance",
    "Elbo",
    "Enumerated",
    "Exact",
    "ImportanceWeighted",
    "auto",
    "evaluate",
]
