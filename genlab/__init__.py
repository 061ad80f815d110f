"""genlab: a laboratory for generative models.

``genlab.train("model=made", "data=digits_binary")`` trains, scores and shows a model;
``genlab.open(PATH)`` opens a run directory.
"""

import os

# torch's OpenMP threads spin while they wait, which makes small models 10-80 times slower beside any
# other busy process. Threads that sleep at once cost a third on an idle machine instead: ours spin for
# about as long as waking one takes, and then sleep. This must be set before torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")

from typing import TYPE_CHECKING, Any

from genlab.version import __version__

if TYPE_CHECKING:
    from genlab.api import open, train

__all__ = ["__version__", "open", "train"]


def __getattr__(name: str) -> Any:
    """Import torch only when a run is trained or opened, so that the command line answers at once."""
    if name in ("open", "train"):
        from genlab import api

        return getattr(api, name)
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
