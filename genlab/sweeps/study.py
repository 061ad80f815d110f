"""An Optuna study in a file: which settings to try next, and which trials are not worth ending.

The sampler's random numbers are keyed by the seed and the number of a trial, and no generator's state is
kept. So with one job a study is a function of its seed and its space, whether it was interrupted or not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genlab.errors import UsageError
from genlab.sweeps.bench import Bench
from genlab.sweeps.extras import extra

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

FILE = "study.db"
NAME = "genlab"


@dataclass(frozen=True)
class Chosen:
    """How a study searches. trials: of the study in all, however often it is resumed."""

    trials: int
    sampler: str
    pruner: str
    seed: int


class Study:
    """The trials so far. A trial that nobody told of is open, and is gone on with."""

    def __init__(self, bench: Bench, chosen: Chosen) -> None:
        optuna = extra("tune", "optuna", "genlab tune")
        from sqlalchemy import URL
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.chosen, path = chosen, bench.path.absolute() / FILE
        try:
            self._study = optuna.create_study(
                storage=URL.create("sqlite", database=str(path)).render_as_string(),
                study_name=NAME,
                direction="minimize",
                pruner=_pruner(chosen.pruner),
                load_if_exists=True,
            )
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{bench.path / FILE} is no study: {reason}") from None

    @property
    def full(self) -> bool:
        """Whether there are as many trials as were asked for."""
        return self._count() >= self.chosen.trials

    def ask(self) -> Trial:
        """A new trial, whose values are drawn as they are suggested."""
        self._draw_for(self._count())
        return self._study.ask()

    def open(self) -> list[FrozenTrial]:
        """Those that have no end yet."""
        from optuna.trial import TrialState

        return self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def again(self, open: FrozenTrial) -> Trial:
        """One of them, to go on with. What was not yet drawn is drawn as it would have been."""
        from optuna.trial import Trial

        self._draw_for(open.number)
        return Trial(self._study, open._trial_id)

    def reported(self, trial: Trial) -> dict[int, float]:
        """What it was told of so far, by steps."""
        return self._study.get_trials(deepcopy=False)[trial.number].intermediate_values

    def _count(self) -> int:
        return len(self._study.get_trials(deepcopy=False))

    def _draw_for(self, number: int) -> None:
        self._study.sampler = _sampler(self.chosen.sampler, key(self.chosen.seed, number))

    def complete(self, trial: Trial, value: float) -> None:
        self._study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        self._study.tell(trial, state=TrialState.FAIL)

    def best(self) -> FrozenTrial | None:
        """The complete trial with the lowest value; None where none is complete."""
        from optuna.trial import TrialState

        done = self._study.get_trials(states=(TrialState.COMPLETE,))
        return min(done, key=lambda trial: trial.values[0], default=None)


def key(seed: int, number: int) -> int:
    """The seed of the sampler for one trial: 32 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4])


def _sampler(name: str, seed: int) -> Any:
    from optuna.samplers import RandomSampler, TPESampler

    return {"tpe": TPESampler, "random": RandomSampler}[name](seed=seed)


def _pruner(name: str) -> Any:
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    return {"median": MedianPruner, "hyperband": HyperbandPruner, "none": NopPruner}[name]()
