"""What each estimator needs of a model, from the most trustworthy to the least: the order of ``auto``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from genlab.contracts import (
    ENUMERABLE,
    GenerativeModel,
    Guarantee,
    HasEnergy,
    HasImportanceWeights,
    HasLikelihood,
    HasVelocity,
    Support,
    UsageError,
)


class Need(NamedTuple):
    """met: whether a model has it. words: what it is."""

    met: Callable[[GenerativeModel], bool]
    words: str


def _own(*guarantees: Guarantee) -> Callable[[GenerativeModel], bool]:
    return lambda m: isinstance(m, HasLikelihood) and m.guarantee in guarantees


NEEDS = {
    "exact": Need(_own(Guarantee.EXACT), "HasLikelihood with an exact log p(x)"),
    "enumerate": Need(
        lambda m: isinstance(m, HasEnergy) and m.summable is not None,
        f"HasEnergy with at most {ENUMERABLE} binary units to sum out on the smaller side",
    ),
    "iwae": Need(lambda m: isinstance(m, HasImportanceWeights), "HasImportanceWeights"),
    "elbo": Need(
        lambda m: _own(Guarantee.LOWER_BOUND)(m) or isinstance(m, HasImportanceWeights),
        "HasLikelihood with a lower bound, or HasImportanceWeights",
    ),
    "ais": Need(lambda m: isinstance(m, HasEnergy), "HasEnergy"),
    "flow": Need(lambda m: isinstance(m, HasVelocity), "HasVelocity"),
    "window": Need(lambda m: True, "samples"),
    "parzen_density": Need(lambda m: m.spec.support is Support.LEVELS, "data of grey levels"),
}


def require(name: str, model: GenerativeModel) -> None:
    """Raise UsageError where the model lacks what the estimator of this name needs."""
    need = NEEDS[name]
    if need.met(model):
        return
    others = " or ".join(f"likelihood={n}" for n, need in NEEDS.items() if need.met(model))
    lacking = f"{type(model).__name__} on {model.spec.name} lacks"
    raise UsageError(f"likelihood={name} needs {need.words}, which {lacking}: {others} would work")
