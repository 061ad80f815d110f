"""Numbers beside likelihood: what a model answers about each datum, and how its samples compare with data.

| file | says |
|---|---|
| ``datum`` | what a metric of a model's answers owes: ``DatumMetric`` |
| ``classification``, ``reconstruction`` | whether it tells the label, what comes back from its code |
| ``answers`` | the answers about a split, in blocks |
| ``base`` | what a metric of sample quality owes: ``SampleMetric`` |
| ``features`` | the network in whose features samples are compared, trained on the set itself |
| ``distances`` | all distances between two sets, a block at a time |
| ``frechet``, ``kernel`` | distances between distributions of features |
| ``precision_recall``, ``density_coverage`` | fidelity apart from diversity |
| ``birthday`` | how many different data a model can draw |
| ``memorisation`` | copies of training data |
| ``c2st``, ``mmd`` | two-sample tests |
| ``measuring`` | a model's samples by several metrics, each beside training data in their place |
"""

from genlab.metrics.answers import Answers, answer
from genlab.metrics.base import SampleMetric
from genlab.metrics.birthday import Birthday
from genlab.metrics.c2st import C2ST
from genlab.metrics.classification import Classification
from genlab.metrics.datum import DatumMetric, Floor
from genlab.metrics.density_coverage import DensityCoverage
from genlab.metrics.features import Features, Raw, features_for
from genlab.metrics.frechet import Frechet
from genlab.metrics.kernel import Kernel
from genlab.metrics.measuring import Measured, how_many, measure
from genlab.metrics.memorisation import Memorisation
from genlab.metrics.mmd import MMD
from genlab.metrics.precision_recall import PrecisionRecall
from genlab.metrics.reconstruction import Reconstruction

__all__ = [
    "C2ST",
    "MMD",
    "Answers",
    "Birthday",
    "Classification",
    "DatumMetric",
    "DensityCoverage",
    "Features",
    "Floor",
    "Frechet",
    "Kernel",
    "Measured",
    "Memorisation",
    "PrecisionRecall",
    "Raw",
    "Reconstruction",
    "SampleMetric",
    "answer",
    "features_for",
    "how_many",
    "measure",
]
