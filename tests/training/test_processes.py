"""Two processes: the same words, the same directory, the same numbers as one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import genlab as api
from genlab.launch.children import Loss, _Family

WITNESS = '''
import json, os, sys
from pathlib import Path
from pytorch_lightning import Callback

class Witness(Callback):
    """Writes down what its process was told."""

    def __init__(self, folder: str):
        self.folder = Path(folder)

    def on_train_start(self, trainer, module):
        seen = {
            "argv": sys.argv[1:],
            "run": os.environ["GENLAB_RUN_DIR"],
            "epochs": trainer.max_epochs,
            "hidden": module.network.layers[0].out_features,
            "world": trainer.world_size,
        }
        (self.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(seen))
'''


def genlab(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "genlab", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_second_process_sees_the_same_words_and_the_same_run(tmp_path, monkeypatch):
    (tmp_path / "witness.py").write_text(WITNESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    genlab(
        "train",
        "model.hidden=[17]",
        "stages.fit.max_epochs=2",
        "trainer=ddp_cpu",
        "+callbacks.witness._target_=witness.Witness",
        f"+callbacks.witness.folder={tmp_path}",
        "--allow-target",
        "witness.",
        cwd=tmp_path,
    )
    first, second = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert first == second
    assert (first["epochs"], first["hidden"], first["world"]) == (2, 17, 2)
    runs = list((tmp_path / "runs").iterdir())
    assert [str(p) for p in runs] == [str(tmp_path / "runs" / Path(first["run"]).name)]


@pytest.mark.slow
def test_evaluation_on_one_and_two_processes_is_identical(tmp_path):
    """297 test digits: an odd number, five blocks, so the shards are uneven in both."""
    genlab("train", "stages.fit.max_epochs=2", "evaluate=[]", "gallery=false", cwd=tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    values = []
    for trainer in ("cpu", "ddp_cpu"):
        genlab("evaluate", str(run), f"trainer={trainer}", cwd=tmp_path)
        (score,) = (run / "scores").glob("test-*.json")
        assert json.loads(score.read_text())["world_size"] == len(values) + 1
        values.append(np.load(score.with_suffix(".npz"))["nats"])
    assert len(values[0]) == 297
    assert np.array_equal(values[0], values[1])


@pytest.mark.slow
def test_a_solution_is_the_same_on_one_and_two_processes(tmp_path):
    words = ["model=chow_liu", "evaluate=[test]", "gallery=false", "trainer.threads=1"]
    values = []
    for trainer in ("cpu", "ddp_cpu"):
        folder = tmp_path / trainer
        genlab("train", *words, f"trainer={trainer}", f"folder={folder}", cwd=tmp_path)
        (run,) = folder.iterdir()
        mark = json.loads((run / "checkpoints" / "fit" / "finished.json").read_text())
        assert mark["world_size"] == len(values) + 1
        (score,) = (run / "scores").glob("test-*.npz")
        values.append(np.load(score)["nats"])
    assert np.array_equal(*values)


SCRIPT = """
import genlab

SHORT = ("stages.fit.max_epochs=1", "model.hidden=[8]", "evaluate=[]", "gallery=false", "trainer.threads=1")
genlab.train("trainer=ddp_cpu", *SHORT)
genlab.train("trainer=ddp_cpu", *SHORT, "seed=1")
genlab.train("trainer=cpu", *SHORT, "seed=2")
"""


@pytest.mark.slow
def test_a_script_trains_on_two_processes_until_one_is_asked_for(tmp_path):
    """Both of them would train that one."""
    (tmp_path / "two.py").write_text(SCRIPT)
    command = [sys.executable, "two.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "has begun a run of 2 processes" in done.stderr
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/*/run.json"))]
    assert sorted((r["seed"], r["status"]) for r in records) == [(0, "completed"), (1, "completed")]


def test_what_is_lost_later_is_no_failure_of_a_completed_run(tmp_path):
    words = ["stages.fit.max_epochs=1", "evaluate=[]", "gallery=false"]
    run = api.train(*words, f"folder={tmp_path}")
    _Family.tell(Loss("the process of rank 1 has ended"))
    assert run.directory.read()["status"] == "completed"
