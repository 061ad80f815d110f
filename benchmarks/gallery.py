"""What does a gallery of 100 runs cost to write and to open, and how long do nearest neighbours take?

  GENLAB_BROWSER=chromium python benchmarks/gallery.py     # a minute, after make test-browser
  python benchmarks/gallery.py                             # opens nothing

One run is trained for an epoch and copied; the copies differ in name. Pages are written by `genlab gallery`
in a process of its own and opened from the file system, each three times: the median until the browser says
that all has been loaded. Neighbours: of 64 images of 28×28 random bits among 60,000, on one thread.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from reporting import table

import genlab
from genlab.api.nearest import nearest
from genlab.contracts import Rows

RUNS, MOST_SECONDS, MOST_MIB = 100, 10.0, 300.0
INDEX, PAGE = 1.5, 1.0  # seconds to open
MOST_KIB = 400.0  # of a page, without what moves
NEIGHBOURS = 1.0
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"

MEASURED = """
import sys
from genlab.cli.main import main
code = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""


def bits(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 2, (n, 1, 28, 28), generator=generator).float()


def copies(folder: Path) -> list[Path]:
    words = ["model=made", "data=digits_binary", "model.hidden=[16]", "stages.fit.max_epochs=1"]
    run = genlab.train(*words, f"folder={folder / 'trained'}").path
    return [Path(shutil.copytree(run, folder / f"run-{i:03}")) for i in range(RUNS)]


def write(runs: list[Path], out: Path) -> tuple[float, float]:
    """Seconds, and MiB at the peak: by the process itself, as getrusage counts the parent's memory too."""
    start = time.perf_counter()
    command = [sys.executable, "-c", MEASURED, "gallery", *map(str, runs), "-o", str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stdout.split()[-2]) / 2**10


def opened(files: list[Path]) -> list[float]:
    """Seconds until each has been loaded."""
    from playwright.sync_api import sync_playwright

    path = shutil.which(os.environ["GENLAB_BROWSER"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        found = [median(_load(browser, file) for _ in range(3)) for file in files]
        browser.close()
    return found


def _load(browser, file: Path) -> float:
    page = browser.new_page()
    page.goto(file.resolve().as_uri())
    while not (loaded := page.evaluate(LOADED)):
        page.wait_for_timeout(10)
    page.close()
    return loaded / 1000


def weight(page: Path) -> float:
    """KiB of a page and its pictures that stand still."""
    files = [page / "index.html", *page.glob("*/*.png")]
    return sum(f.stat().st_size for f in files if not f.name.endswith(".frames.png")) / 1024


def neighbours() -> float:
    torch.set_num_threads(1)
    train, x = Rows(bits(60_000)), bits(64)
    start = time.perf_counter()
    nearest(train, x)
    return time.perf_counter() - start


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = copies(folder)
        seconds, mib = write(runs, folder / "site")
        page = folder / "site" / "run-000"
        rows = [
            (f"write {RUNS} runs, s", seconds, MOST_SECONDS),
            ("memory at its peak, MiB", mib, MOST_MIB),
            ("a page without what moves, KiB", weight(page), MOST_KIB),
            ("neighbours, s", neighbours(), NEIGHBOURS),
        ]
        if "GENLAB_BROWSER" in os.environ:
            index, one = opened([folder / "site" / "index.html", page / "index.html"])
            rows += [("open the index, s", index, INDEX), ("open a page, s", one, PAGE)]
    cells = [[what, f"{found:.2f}", f"{most:g}"] for what, found, most in rows]
    table(["", "measured", "at most"], cells)
    met = all(found <= most for _, found, most in rows)
    print("all met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
