"""Estimators of log p(x) and the evaluation that runs them, the same on one process and on many."""

from genlab.likelihood.estimators import OwnLikelihood, auto
from genlab.likelihood.scoring import evaluate

__all__ = ["OwnLikelihood", "auto", "evaluate"]
