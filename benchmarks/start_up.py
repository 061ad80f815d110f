"""How long do the commands take that only read words, and what do ten plugins add to that?

  python benchmarks/start_up.py

Required: less than 0.7 s of wall time each, with ten plugins installed too, one of which imports torch at
its top, one of which raises and one of which is a syntax error. They answer that fast because they import
neither torch nor a plugin; a test asserts that. Each command is a fresh process, the commands take
turns, and the first round, which fills the disk cache, does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from reporting import table, verdict

REQUIRED = 0.7
REPEATS = 7
COMMANDS = ("--help", "list", "config show", "plugins list")
CODE = {
    0: "import torch",
    1: "raise RuntimeError",
    2: "def (:",
}  # of the plugins; the others are empty


def install(site: Path, number: int) -> None:
    """A distribution that adds a model, as pip would leave it."""
    package, about = site / f"genlab_p{number}", site / f"genlab_p{number}-1.0.dist-info"
    (package / "configs" / "model").mkdir(parents=True)
    about.mkdir()
    (package / "__init__.py").write_text(CODE.get(number, ""))
    file = package / "configs" / "model" / f"p{number}.yaml"
    file.write_text(f"# A plugin\n_target_: genlab_p{number}.Model\n")
    needs = "Requires-Dist: genlab>=0.1\n"
    metadata = f"Metadata-Version: 2.1\nName: genlab-p{number}\nVersion: 1.0\n{needs}"
    (about / "METADATA").write_text(metadata)
    (about / "entry_points.txt").write_text(f"[genlab.plugins]\np{number} = genlab_p{number}\n")


def seconds(words: str, site: Path | None) -> float:
    paths = [str(site)] if site else []
    paths += [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    environment = os.environ | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})
    command = [sys.executable, "-m", "genlab", *words.split()]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main() -> int:
    with TemporaryDirectory() as folder:
        for number in range(10):
            install(Path(folder), number)
        sites = {"": None, ", ten plugins": Path(folder)}
        asked = [(words, which) for words in COMMANDS for which in sites]
        rounds = [
            {each: seconds(each[0], sites[each[1]]) for each in asked} for _ in range(REPEATS + 1)
        ]
    times = {each: [measured[each] for measured in rounds[1:]] for each in asked}
    print(f"seconds of wall time, {REPEATS} runs each")
    rows = [
        [f"genlab {words}{which}", f"{median(t):.2f}", f"{min(t):.2f}", f"{max(t):.2f}"]
        for (words, which), t in times.items()
    ]
    table(["", "median", "least", "most"], rows)
    slowest = max(median(t) for t in times.values())
    return verdict(slowest < REQUIRED, f"each median < {REQUIRED} s")


if __name__ == "__main__":
    raise SystemExit(main())
