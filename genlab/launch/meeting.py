"""Meeting the other processes of a run, which may be long in coming, and missing one."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable

from torch.distributed import DistError

from genlab.errors import GenlabError, first_line
from genlab.rank import rank

SOON = 10.0  # seconds after which somebody may wonder what goes on
LIMIT = 600.0  # seconds until nobody comes any more
GLOO = "gloo/transport"  # in what gloo says of a connection that broke
GONE = re.compile(  # in what NCCL, and the store by which processes meet, say of one
    "remote process exited|connection (was )?(closed|reset)|failed to recv|broken pipe"
    "|socket timeout|wait timeout",
    re.IGNORECASE,
)


def meet(join: Callable[[], object], processes: int) -> None:
    """Call what returns once all processes are there. That may be deaf to signals; this is not.

    Says after a while that it waits. Raises GenlabError where they have not come in time, and where they
    cannot meet.
    """
    errors: list[BaseException] = []
    thread = threading.Thread(target=_try, args=(join, errors), daemon=True)
    thread.start()
    start, said = time.monotonic(), False
    while thread.is_alive():
        thread.join(0.1)
        waited = time.monotonic() - start
        if waited > SOON and not said:
            said = True
            line = f"genlab: the process of rank {rank()} waits for the others, {processes} in all"
            print(line, file=sys.stderr, flush=True)
        if waited > LIMIT:
            raise GenlabError(
                f"not all of the run's {processes} processes have come within {LIMIT / 60:.0f} minutes"
            )
    if errors and isinstance(errors[0], RuntimeError):
        where = ":".join(os.environ.get(name, "…") for name in ("MASTER_ADDR", "MASTER_PORT"))
        raise GenlabError(f"the run's processes cannot meet at {where}: {_line(errors[0])}")
    if errors:
        raise errors[0]


def _try(join: Callable[[], object], errors: list[BaseException]) -> None:
    try:
        join()
    except BaseException as error:
        errors.append(error)


def misses(error: BaseException) -> str:
    """In words, where an error says that a process has gone that genlab did not start; else empty."""
    of_gloo = isinstance(error, RuntimeError) and GLOO in str(error)
    if of_gloo or (isinstance(error, DistError) and GONE.search(str(error))):
        return f"another process of the run has ended ({_line(error)})"
    return ""


def _line(error: BaseException) -> str:
    """Its first, without the place in a source file that gloo begins with."""
    return re.sub(r"^\[[^]]*\] ", "", first_line(error))
