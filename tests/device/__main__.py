"""``python -m tests.device LIBRARY FOLDER WORD…``: a run on the pretended device, scored and drawn from."""

from __future__ import annotations

import sys
from pathlib import Path

import genlab
from genlab.cli.main import main
from genlab.contracts import GenerativeModel
from genlab.targets import allow_targets
from tests.device.pretend import install

library, folder, *words = sys.argv[1:]
install(library)
allow_targets(["tests.device.pretend."])
assert main(["train", *words, f"folder={folder}", "--debug"]) == 0
if "trainer.devices=2" not in words:
    (run,) = Path(folder).iterdir()
    assert main(["evaluate", str(run), "seed=1", "--debug"]) == 0
    if isinstance(genlab.open(run).model, GenerativeModel):
        assert main(["sample", str(run), "--n", "3", "-o", f"{folder}/drawn", "--debug"]) == 0
