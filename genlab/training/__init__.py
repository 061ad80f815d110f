"""Training under Lightning: in stages, resumable, with nothing lost."""

from genlab.training.checkpoint_files import averaged, is_lost, load_checkpoint, load_weights
from genlab.training.checkpoints import Validation
from genlab.training.curves import NonFinite
from genlab.training.fit import fit
from genlab.training.settings import TrainerSettings
from genlab.training.stages import resolve_stages
from genlab.training.tensorboard import TensorBoard

__all__ = [
    "NonFinite",
    "TensorBoard",
    "TrainerSettings",
    "Validation",
    "averaged",
    "fit",
    "is_lost",
    "load_checkpoint",
    "load_weights",
    "resolve_stages",
]
