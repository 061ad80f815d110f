"""Several processes, one run: who starts them, which one this is, what they share."""

from genlab.launch.children import Loss, loss, orphaned, start, when_stuck
from genlab.launch.directory import shared_run
from genlab.launch.logs import write_also_into, write_into
from genlab.launch.meeting import meet, misses
from genlab.launch.place import Layout, layout, take_place

__all__ = [
    "Layout",
    "Loss",
    "layout",
    "loss",
    "meet",
    "misses",
    "orphaned",
    "shared_run",
    "start",
    "take_place",
    "when_stuck",
    "write_also_into",
    "write_into",
]
