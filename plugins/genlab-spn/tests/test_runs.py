"""As runs of genlab: found, trained, resumed bit for bit, opened, and as good as is promised."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import genlab
from genlab.cli.main import main
from genlab.data import debd
from genlab.randomness import generator, scope
from genlab.testing import check_processes
from genlab_spn import LearnedSPN, RandomSPN

WORDS = ("data=digits_binary", "gallery=false", "evaluate=[test]")
LEARNED = (
    "model=learnspn",
    "model.min_rows=300",
    "model.refine=gradient",
    "stages.refine.max_epochs=2",
)
RANDOM = ("model=spn", "model.repetitions=2", "model.training=em", "stages.em.max_epochs=2")


def test_models_and_experiments_are_listed(capsys):
    assert main(["list"]) == 0
    own = [
        line.split()[0] for line in capsys.readouterr().out.splitlines() if "[genlab-spn]" in line
    ]
    assert {"learnspn", "spn", "learnspn_tabular"} <= set(own)


@pytest.mark.parametrize("name", ["nltcs", "plants", "dna"])
def test_experiments_are_of_their_table(name, capsys):
    assert main(["config", "check", f"experiment=learnspn_{name}"]) == 0
    assert f"LearnedSPN on {name}" in capsys.readouterr().out


@pytest.mark.skipif(not os.environ.get("GENLAB_DATA"), reason="GENLAB_DATA names no folder of data")
def test_commands_of_the_readme_are_configurations(capsys):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    commands = re.findall(r"^genlab train (.*)$", readme, re.MULTILINE)
    assert len(commands) >= 3
    for words in commands:
        if "mine.npz" not in words:
            assert main(["config", "check", *words.split()]) == 0, capsys.readouterr().err


def test_a_learned_run_is_opened_without_its_data(tmp_path):
    """Its structure, of sizes that no configuration names, comes from the checkpoint."""
    words = ("model=learnspn", "model.networks=2", "model.min_rows=400", *WORDS)
    made = genlab.train(*words, f"folder={tmp_path}")
    opened = genlab.open(next(tmp_path.iterdir()))
    expected, found = made.model.state_dict(), opened.model.state_dict()
    assert all(torch.equal(expected[k], found[k]) for k in expected)
    assert len(expected["circuit.steps"]) > len(LearnedSPN(made.model.spec).circuit.steps)
    draws = [run.model.sample(4, generator=generator("x")) for run in (made, opened)]
    assert torch.equal(*draws)


@pytest.mark.parametrize("words", [LEARNED, RANDOM], ids=["learned", "random"])
def test_interrupted_and_resumed_equals_undisturbed(words, tmp_path, monkeypatch):
    made = LearnedSPN if words is LEARNED else RandomSPN
    name = "loss" if words is LEARNED else "em_loss"
    undisturbed = genlab.train(*words, *WORDS, f"folder={tmp_path / 'a'}")
    whole, calls = getattr(made, name), [0]

    def interrupted(self, batch):
        calls[0] += 1
        if calls[0] == 20:
            signal.raise_signal(signal.SIGINT)
        return whole(self, batch)

    again = (*words, *WORDS, f"folder={tmp_path / 'b'}", "trainer.checkpoint_minutes=0")
    with monkeypatch.context() as patch:
        patch.setattr(made, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            genlab.train(*again)
    resumed = genlab.train(*again, resume="auto")
    assert len(list((tmp_path / "b").iterdir())) == 1
    expected, found = (run.model.state_dict() for run in (undisturbed, resumed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[k], found[k]) for k in expected)


def test_on_two_processes():
    """Equal weights, the scores and samples of one process, exact resume: by EM, by gradient, learned."""
    small = ("data=digits_binary", "data.batch_size=130")
    runs = [(*RANDOM[:2], *small), (*RANDOM[:3], *small), (*LEARNED[:3], *small)]
    for report in check_processes(*runs):
        report.raise_if_failed()


def test_em_on_two_processes_takes_the_steps_of_one(tmp_path):
    """Each sees half of every batch, and what they expect is summed before it is normalised."""
    words = [*RANDOM, *WORDS[:2], "evaluate=[]", "stages.em.max_steps=8", "model.em_step=0.5"]
    one = genlab.train(*words, "data.batch_size=60", f"folder={tmp_path / 'one'}")
    two = [*words, "data.batch_size=30", f"folder={tmp_path / 'two'}"]
    command = [sys.executable, "-m", "genlab", "train", *two, "trainer=ddp_cpu"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    opened = genlab.open(next((tmp_path / "two").iterdir()))
    for found, expected in zip(opened.model.theta, one.model.theta, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not os.environ.get("GENLAB_DATA"), reason="GENLAB_DATA names no folder of data")
@pytest.mark.parametrize(
    ("name", "significance", "least"), [("nltcs", 1e-3, -6.03), ("dna", 1e-6, -82.5)]
)
def test_tables_are_learned_as_well_as_published(name, significance, least):
    """On validation data, in nats. LearnSPN with univariate leaves reached -6.11 and -82.5 on test data."""
    data = debd(name)
    train, val = (data.dataset(s)[torch.arange(len(data.dataset(s)))] for s in ("train", "val"))
    model = LearnedSPN(data.spec, significance=significance)
    with torch.no_grad(), scope("learn", 0):
        model.learn([train])
        assert model.log_prob(val.x).double().mean().item() > least
