"""The curves of a run for TensorBoard: the points of ``metrics.csv``, in one folder for all sessions."""

from __future__ import annotations

from importlib.util import find_spec

from pytorch_lightning.loggers import TensorBoardLogger

from genlab.contracts import UsageError


class TensorBoard:
    """What ``logger=tensorboard`` names. Raises UsageError where the extra is not installed."""

    def __init__(self) -> None:
        if find_spec("tensorboard") is None:
            raise UsageError(
                "logger=tensorboard needs the extra tensorboard: pip install 'genlab[tensorboard]'"
            )

    def __call__(self, run: str) -> TensorBoardLogger:
        """The logger of a run directory, with its events in ``tensorboard/`` there."""
        return TensorBoardLogger(run, name="tensorboard", version="")
