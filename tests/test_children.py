"""What may be used is the same in every process that a command starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from genlab.cli.main import main
from genlab.plugins import EXCEPT
from genlab.sweeps.environment import surroundings
from tests.test_plugins import MODEL, install

DATA = """
import json, os
from pathlib import Path
from torch.utils.data import get_worker_info
from genlab.targets import trusted_prefixes
from genlab.contracts import Batch, DataModule, DataSpec, Support
from genlab.plugins import plugins

class Rows:
    def __len__(self):
        return 40

    def __getitem__(self, rows):
        place = (os.environ.get("GENLAB_RANK", "0"), get_worker_info() is not None)
        may = {p.name: p.status for p in plugins()} | {"trusted": trusted_prefixes()}
        Path(os.environ["TOLD"], f"{os.getpid()}.json").write_text(json.dumps([place, may]))
        return Batch((rows[:, None] % 2).float().expand(-1, 4).clone(), index=rows)

class Told(DataModule):
    spec = DataSpec("told", "fixed", (4,), Support.BINARY)

    def dataset(self, split):
        return Rows()
"""
WORDS = (
    *("model=mine", "data=told", "seed=1", "data.batch_size=10", "stages.fit.max_steps=2"),
    *("trainer=ddp_cpu", "trainer.devices=2", "trainer.workers=1", "trainer.threads=1"),
    *("evaluate=[]", "samples=null", "gallery=false", "--allow-target", "my_models."),
)


@pytest.mark.slow
def test_points_of_a_sweep_their_ranks_and_workers_may_use_the_same(tmp_path):
    """Data of a plugin, a model that is no package, and another plugin that is switched off."""
    site, told = tmp_path / "site", tmp_path / "told"
    install(site, "acme", DATA, {"configs/data/told.yaml": "_target_: genlab_acme.Told\n"})
    install(site, "other", MODEL, {"configs/model/mine.yaml": "_target_: genlab_other.small\n"})
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "mine.yaml").write_text("_target_: my_models.small\n")
    (tmp_path / "my_models.py").write_text(MODEL)
    told.mkdir()
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": path, "TOLD": str(told), EXCEPT: "other"}
    done = subprocess.run(
        [sys.executable, "-m", "genlab", "sweep", *WORDS],
        cwd=tmp_path,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = [json.loads(file.read_text()) for file in told.iterdir()]
    workers = sorted(rank for (rank, works), _ in seen if works)
    assert set(workers) == {"0", "1"}
    may = {"acme": "ok", "other": f"disabled by {EXCEPT}", "trusted": ["my_models."]}
    assert all(found == may for _, found in seen), seen


def test_without_plugins_means_without_them_in_other_processes_too(monkeypatch):
    monkeypatch.delenv(EXCEPT, raising=False)
    with monkeypatch.context() as patch:
        patch.setenv(EXCEPT, "acme")
        assert main(["list", "--no-plugins"]) == 0
        assert surroundings()[EXCEPT] == "*", (
            "of the points of a sweep; ranks get all that is there"
        )
