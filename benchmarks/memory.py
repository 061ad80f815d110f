"""How much memory does a training of MADE 784-500-784 on binary MNIST take at its peak?

  python benchmarks/memory.py     # a minute; needs GENLAB_DATA with mnist_binary

Two epochs, scores on validation and test data, samples and pictures, in a process of its own, by `genlab
train`. Required: at most 1.0 GiB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile

from reporting import verdict

MOST = 1.0  # GiB
WORDS = ["model=made", "model.hidden=[500]", "data=mnist_binary", "stages.fit.max_epochs=2"]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "genlab", "train", *WORDS, f"folder={folder}"]
        subprocess.run(command, check=True, capture_output=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{peak:.2f} GiB resident at the peak")
    return verdict(peak <= MOST, f"at most {MOST} GiB")


if __name__ == "__main__":
    sys.exit(main())
