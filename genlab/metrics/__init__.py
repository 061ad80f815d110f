"""Sample quality beside likelihood: torchmetrics that compare samples with data.

| file | says |
|---|---|
| ``base`` | what a metric owes: ``SampleMetric`` |
| ``features`` | the network in whose features samples are compared, trained on the set itself |
| ``distances`` | all distances between two sets, a block at a time |
| ``frechet``, ``kernel`` | distances between distributions of features |
| ``precision_recall``, ``density_coverage`` | fidelity apart from diversity |
| ``birthday`` | how many different data a model can draw |
| ``memorisation`` | copies of training data |
| ``c2st``, ``mmd`` | two-sample tests |
| ``measuring`` | a model's samples by several metrics, each beside training data in their place |
"""

from genlab.metrics.base import SampleMetric
from genlab.metrics.birthday import Birthday
from genlab.metrics.c2st import C2ST
from genlab.metrics.density_coverage import DensityCoverage
from genlab.metrics.features import Features, Raw, features_for
from genlab.metrics.frechet import Frechet
from genlab.metrics.kernel import Kernel
from genlab.metrics.measuring import Measured, how_many, measure
from genlab.metrics.memorisation import Memorisation
from genlab.metrics.mmd import MMD
from genlab.metrics.precision_recall import PrecisionRecall

__all__ = [
    "C2ST",
    "MMD",
    "Birthday",
    "DensityCoverage",
    "Features",
    "Frechet",
    "Kernel",
    "Measured",
    "Memorisation",
    "PrecisionRecall",
    "Raw",
    "SampleMetric",
    "features_for",
    "how_many",
    "measure",
]
