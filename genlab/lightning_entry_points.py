"""Other packages' entry points that Lightning loads into every Trainer, and those among them that fail."""

from __future__ import annotations

from importlib.metadata import entry_points

GROUP = "pytorch_lightning.callbacks_factory"


def broken_entry_points() -> list[str]:
    """A sentence for each."""
    found = []
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:
            owner = entry.dist.name if entry.dist else entry.value
            found.append(f"{owner} breaks every Lightning Trainer: {error!r}; uninstall it")
    return found
