"""The nouns of genlab and what they owe each other. Read this package first.

**Data** says what one datum is. A **model** learns to sample it. A **likelihood** puts a number on it
and says how far that number can be trusted. A **figure** shows what only this model can show.

| file | says |
|---|---|
| ``data`` | what one datum is (``DataSpec``), a batch, a data module |
| ``training`` | what is trained, in stages (``Stage``, ``Trainable``, ``Model``, ``GenerativeModel``) |
| ``likelihood`` | a number and its guarantee (``LogLikelihood``, ``Likelihood``) |
| ``capabilities`` | what a model can do beside sampling: likelihood, energy, flow, codes, labels, … |
| ``evidence`` | what may be known of a datum (``Observed``, ``Noisy``, ``Pooled``) |
| ``figures`` | pictures as numbers |
| ``loading`` | how data become batches: by epoch, rank and position, all of it resumable |

The base classes in a model's first line are its data sheet: ``class MADE(GenerativeModel,
HasLikelihood, Completes)``. Ask what a model can do (``isinstance(model, HasEnergy)``), never who it
is. Everything here is abstract or final: concrete models are not subclassed.

Shapes in all docstrings: B data in a batch, D = prod(shape) numbers in a datum, K importance samples.
"""

from genlab.contracts.capabilities import (
    ENUMERABLE,
    AnnealingPath,
    Classifies,
    Completes,
    HasEncoder,
    HasEnergy,
    HasFigures,
    HasImportanceWeights,
    HasLikelihood,
    HasVelocity,
    State,
    TakesSampler,
)
from genlab.contracts.data import Batch, BatchSource, DataModule, DataSpec, Rows, Support
from genlab.contracts.evidence import Evidence, Noisy, Observed, Pooled
from genlab.contracts.figures import Figure, Images, Matrix, Plane, Surface
from genlab.contracts.likelihood import Bracket, Guarantee, Likelihood, LogLikelihood, Measure
from genlab.contracts.training import GenerativeModel, Model, Stage, Trainable
from genlab.errors import (
    DataError,
    GenlabError,
    PluginError,
    UnsupportedData,
    UsageError,
)

__all__ = [
    "ENUMERABLE",
    "AnnealingPath",
    "Batch",
    "BatchSource",
    "Bracket",
    "Classifies",
    "Completes",
    "DataError",
    "DataModule",
    "DataSpec",
    "Evidence",
    "Figure",
    "GenerativeModel",
    "GenlabError",
    "Guarantee",
    "HasEncoder",
    "HasEnergy",
    "HasFigures",
    "HasImportanceWeights",
    "HasLikelihood",
    "HasVelocity",
    "Images",
    "Likelihood",
    "LogLikelihood",
    "Matrix",
    "Measure",
    "Model",
    "Noisy",
    "Observed",
    "Plane",
    "PluginError",
    "Pooled",
    "Rows",
    "Stage",
    "State",
    "Support",
    "Surface",
    "TakesSampler",
    "Trainable",
    "UnsupportedData",
    "UsageError",
]
