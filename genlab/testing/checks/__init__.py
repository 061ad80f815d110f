"""The checks, a file for each idea. A function made a check in one of these files is in the suite."""

from genlab.testing.check import Check
from genlab.testing.checks import (
    batches,
    classification,
    completion,
    energy,
    figures,
    labels,
    latent,
    learning,
    likelihood,
    precision,
    randomness,
    resume,
    samplers,
    sampling,
    sizes,
    state,
    weights,
)

CHECKS: tuple[Check, ...] = tuple(
    value
    for file in (
        learning,
        sampling,
        samplers,
        likelihood,
        weights,
        batches,
        classification,
        energy,
        completion,
        latent,
        figures,
        labels,
        randomness,
        state,
        sizes,
        precision,
        resume,
    )
    for value in vars(file).values()
    if isinstance(value, Check)
)
