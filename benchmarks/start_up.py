"""How long do the commands take that only read words?

  python benchmarks/start_up.py

Required: less than 0.7 s of wall time each. They answer that fast because they do not import torch; a
test asserts that. Each command is a fresh process, the commands take turns, and the first round, which
fills the disk cache, does not count.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from reporting import table, verdict

REQUIRED = 0.7
REPEATS = 7
COMMANDS = ("--help", "list", "config show", "plugins list")


def seconds(words: str) -> float:
    start = time.perf_counter()
    command = [sys.executable, "-m", "genlab", *words.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    rounds = [{words: seconds(words) for words in COMMANDS} for _ in range(REPEATS + 1)]
    times = {words: [measured[words] for measured in rounds[1:]] for words in COMMANDS}
    print(f"seconds of wall time, {REPEATS} runs each")
    rows = [
        [f"genlab {words}", f"{median(t):.2f}", f"{min(t):.2f}", f"{max(t):.2f}"]
        for words, t in times.items()
    ]
    table(["", "median", "least", "most"], rows)
    slowest = max(median(t) for t in times.values())
    return verdict(slowest < REQUIRED, f"each median < {REQUIRED} s")


if __name__ == "__main__":
    raise SystemExit(main())
