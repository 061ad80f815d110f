"""Training under Lightning: in stages, resumable, with nothing lost."""

from genlab.training.checkpoints import load_checkpoint, load_weights
from genlab.training.fit import fit, restore
from genlab.training.settings import TrainerSettings
from genlab.training.stages import resolve_stages

__all__ = [
    "TrainerSettings",
    "fit",
    "load_checkpoint",
    "load_weights",
    "resolve_stages",
    "restore",
]
