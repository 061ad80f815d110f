"""Bad input: one line that says what was given and what to type, the right exit code, nothing half done."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from genlab.api.session import Session
from genlab.cli.main import main
from genlab.contracts import UsageError
from genlab.runs import RunDirectory

STAGED = "model._target_=tests.training.staged.Staged --allow-target=tests."
QUICK = ["stages.fit.max_epochs=1", "model.hidden=[8]", "evaluate=[]", "gallery=false"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", *QUICK, f"folder={folder}"]) == 0
    return next(folder.iterdir())


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def refused(capsys, *words: str, code: int = 2) -> str:
    """The one line on stderr."""
    assert main(list(words)) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("model=mde", "did you mean 'made'?"),
        ("data=digit_binary", "did you mean 'digits_binary'?"),
        ("+typo=1", "there is no key 'typo'"),
        ("modl.hidden=1", "did you mean 'model'?"),
        ("model.hiden=[3]", "did you mean 'hidden'?"),
        ("model.lr=fast", "MADE has no parameter 'lr'"),
        ("model.hidden=fast", "expected a list, each a whole number"),
        ("trainer.threads=100000", "trainer.threads=100000 must be at most 1024"),
        ("trainer=fsdp trainer.precision=64-true", "trainer.precision=64-true: weights"),
        ("model.dropout=much", "model.dropout=much: expected a number"),
        ("model.activation=swish", "expected relu or softplus or tanh"),
        (
            "optimizer.lr=0.1",
            "optimizer.…: choose one too, optimizer=NAME, NAME one of ",
        ),
        ("sampler.steps=3", "sampler.…: choose one too, sampler=NAME, NAME one of ancestral, ddim"),
        ("logger.save_dir=x", "logger.…: choose one too, logger=NAME"),
        (
            "callbacks.timer=3",
            "callbacks.timer=3: expected a component, as callbacks.timer._target_",
        ),
        (
            "callbacks=timer callbacks.timer.hours=3",
            "callbacks.timer.hours: Timer has no parameter",
        ),
        ("model=diffusion sampler=ddim", "sampler=… is for metric=…: name one, or metric=all"),
        (
            "model=diffusion sampler=ddim sampler.stepz=3 metric=frechet",
            "DDIM has no parameter 'stepz'",
        ),
        ("sampler=ddim metric=frechet", "MADE draws in one way only: leave sampler=… out"),
        ("stages.fot.max_epochs=3", "MADE has no stage 'fot': its stages are fit"),
        ("stages.fit.max_epoch=3", "did you mean 'max_epochs'?"),
        ("stages.fit.max_epochs=-1", "must be at least 1"),
        ("stages.fit.max_epochs=many", "expected a whole number or null"),
        ("stages.fit.lr_schedule={-1: 0.1}", "-1 is no step: give whole numbers of 0 or more"),
        ("stages.fit.lr_schedule=slow", "lr_schedule=slow: expected constant or linear or cosine"),
        ("stages.fit.momentum_schedule={9: 0.9}", "Adam has no momentum that could change"),
        ("stages.fit.momentum_schedule={9: 1}", "1 at step 9 is not a momentum in [0, 1)"),
        ("stages.*.max_epochs=3", "a word sets one key; write one for each in the place of *"),
        ("model=gmmn model.kernel.variances=[0]", "genlab: model.kernel.variances=[0.0] must be"),
        ("model=rbm model.learning.steps=0", "genlab: model.learning.steps=0 must be at least 1"),
        ("model=rbm model.learning.k=3", "no parameter 'k'; there is sampler, steps, chains"),
        ("stages.fit.about=me", "a stage has no option 'about'"),
        (
            f"{STAGED} stages.rbm2.max_epochs=3",
            "Staged has no stage 'rbm2': its stages are encode, c",
        ),
        (f"{STAGED} stages.chain.max_epochs=-1", "stages.chain.max_epochs=-1 must be at least 1"),
        (
            f"{STAGED} stages.chain.max_epochs=two",
            "stages.chain.max_epochs=two: expected a whole n",
        ),
        ("model=chow_liu stages.fit.max_epochs=3", "closed form and has no max_epochs"),
        ("model=chow_liu stages.fit.optimizer.lr=3", "closed form and has no optimizer"),
        ("model=chow_liu optimizer=adam", "ChowLiu is solved in closed form, without an optimizer"),
        ("model=chow_liu stages.fit=3", "stages.fit=3: expected keys and values"),
        ("model=chow_liu model.smoothing=0", "model.smoothing=0 must be greater than 0"),
        ("model=chow_liu data=mnist", "784 entries of 256 values"),
        ("seed=-1", "expected a whole number"),
        ("evaluate=[tst]", "expected some of train, val, test"),
        ("evaluate=3", "evaluate=3: expected some of train, val, test"),
        ("model._target_=[3]", "model._target_=[3]: expected the dotted name"),
        ("trainer.devices=0", "must be at least 1"),
        ("data.batch_size=0", "must be at least 1"),
        ("folder=3", "folder=3: expected text"),
        ("folder=nan", "expected text"),  # YAML reads a number
        ("name=a/b", "has no /"),
        ("gallery=maybe", "gallery=maybe: expected true or false"),
        ("stages=fit", "stages=fit: expected keys and values"),
        ("stages.fit=3", "stages.fit=3: expected keys and values"),
        ("model=null", "a run needs a model"),
        ("~data", "a run needs a data"),
        ("model", "is not key=value"),
        ("model.hidden=[1", "model.hidden=[1"),
        ("model._target_=os.system", "is not a component of genlab"),
        ("model.hidden=${oc.env:HOME}", "write the value itself"),
    ],
)
def test_words(here, capsys, word, says):
    assert says in refused(capsys, "train", *re.split(r"(?<!:) ", word))
    assert list(here.iterdir()) == [], "nothing is written"


def test_optimizer_value_of_the_wrong_type(here, capsys):
    assert "expected a number" in refused(capsys, "train", "optimizer=adam", "optimizer.lr=fast")


def test_optimizer_value_out_of_range(here, capsys):
    assert "Invalid learning rate" in refused(capsys, "train", "optimizer=adam", "optimizer.lr=-1")
    assert list(here.iterdir()) == [], "nothing is written"


def test_support_that_the_model_cannot_take(here, capsys):
    line = refused(capsys, "train", "model=chow_liu", "data=toy2d")
    assert "ChowLiu takes BINARY or LEVELS data" in line
    assert "try data=NAME, NAME one of" in line
    assert " digits_binary," in line
    assert "data=toy2d," not in line
    assert list(here.iterdir()) == []


def test_run_that_is_not_there(here, capsys):
    assert "no run directory at nowhere" in refused(capsys, "info", "nowhere")


@pytest.mark.parametrize("verb", ["info", "evaluate"])
def test_run_without_config(run, capsys, verb):
    (run / "config.yaml").unlink()
    assert "has no config.yaml" in refused(capsys, verb, str(run))


def test_checkpoint_of_another_model(run, capsys):
    path = run / "checkpoints" / "fit" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"] = {"weight": torch.zeros(3)}
    save(checkpoint, path)
    assert "is a checkpoint of another model" in refused(capsys, "evaluate", str(run))


class Payload:
    """What a hostile checkpoint may carry: code that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_checkpoint_with_a_pickle_payload(run, capsys):
    path = run / "checkpoints" / "fit" / "best.ckpt"
    save({"state_dict": Payload(run / "ran")}, path)
    assert "holds pickled objects" in refused(capsys, "evaluate", str(run))
    assert not (run / "ran").exists(), "the payload ran"


def test_run_record_of_something_else(run, capsys):
    (run / "run.json").write_text("{}")
    assert "is no run record" in refused(capsys, "info", str(run))


def test_altered_checkpoint(run, capsys):
    path = run / "checkpoints" / "fit" / "best.ckpt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "its checksum differs" in refused(capsys, "evaluate", str(run))


def save(checkpoint: dict, path: Path) -> None:
    """As a stranger would write it: no checksum beside it."""
    path.with_name(path.name + ".sha256").unlink()
    torch.save(checkpoint, path)


def test_resuming_with_other_settings(run, capsys):
    words = [
        "train",
        *QUICK,
        "seed=5",
        "model.hidden=[8, 4]",
        "optimizer=sgd",
        "--resume",
        str(run),
    ]
    line = refused(capsys, *words, "stages.fit.patience=3", "trainer.gradient_clip_val=1")
    assert line.startswith(
        f"genlab: {run} was trained with model.hidden=[8], optimizer._target_ unset, "
        "stages.fit.patience unset, seed=0, trainer.gradient_clip_val unset and you gave "
        "model.hidden=[8, 4], optimizer._target_=torch.optim.SGD, stages.fit.patience=3, seed=5, "
        "trainer.gradient_clip_val=1: "
        "give the same words as then: genlab train stages.fit.max_epochs=1 'model.hidden=[8]' "
    )
    assert line.endswith(f" --resume {run}")


def test_resuming_another_model(run, capsys):
    line = refused(capsys, "train", "model=chow_liu", "--resume", str(run))
    assert "trained with model._target_=genlab.models.made.MADE, " in line
    assert "gave model._target_=genlab.models.chow_liu.ChowLiu, " in line
    assert "model.hidden" not in line[: line.index("give the same words")], "it has another meaning"


def test_resuming_with_the_words_of_then(run, capsys):
    """What the message says to type does go on."""
    line = refused(capsys, "train", "seed=5", "--resume", str(run))
    words = shlex.split(line.partition("genlab train ")[2])
    assert main(["train", *words]) == 0


def test_evaluate_takes_the_model_from_the_run(run, capsys):
    assert "is given by the run" in refused(capsys, "evaluate", str(run), "model.hidden=[3]")


def test_truncated_data_file(here, capsys, monkeypatch):
    folder = here / "store" / "mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8b\x08\x00")
    monkeypatch.setenv("GENLAB_DATA", str(here / "store"))
    line = refused(capsys, "train", "data=mnist", "model.hidden=[3]", code=2)
    assert "train-images-idx3-ubyte.gz" in line


def test_nan_loss_stops_and_keeps_the_last_good_checkpoint(here, capsys):
    words = [
        "stages.fit.max_epochs=30",
        "optimizer=sgd",
        "optimizer.lr=1e38",
        "optimizer.momentum=0",
        "evaluate=[]",
        "gallery=false",
    ]
    line = refused(capsys, "train", *words, code=1)
    assert "at step" in line or "after step" in line
    (run,) = (here / "runs").iterdir()
    assert '"status": "failed"' in (run / "run.json").read_text()
    for path in run.glob("checkpoints/*/*.ckpt"):
        state = torch.load(path, weights_only=True)["state_dict"]
        assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())


def test_full_disk_keeps_the_previous_checkpoint(here, capsys, monkeypatch):
    """A device without space fails at the flush: the file of the epoch before is still whole."""
    from genlab.training import checkpoint_files

    real = checkpoint_files.atomic
    calls = []

    def full_at_the_third(path):
        if path.suffix == ".ckpt":
            calls.append(path)
        if len(calls) > 3 and path.suffix == ".ckpt":
            raise OSError(28, "No space left on device")
        return real(path)

    monkeypatch.setattr(checkpoint_files, "atomic", full_at_the_third)
    words = ["train", *QUICK[1:], "stages.fit.max_epochs=5"]
    assert "No space left on device" in refused(capsys, *words, code=1)
    (run,) = (here / "runs").iterdir()
    for path in run.glob("checkpoints/*/*.ckpt"):
        checkpoint_files.load_checkpoint(path)
    assert (run / "checkpoints" / "fit" / "last.ckpt").is_file()
    assert not list(run.rglob("*.tmp"))


@pytest.mark.parametrize("verb", ["evaluate", "sample", "export"])
def test_a_run_whose_best_weights_are_missing(run, capsys, tmp_path, verb):
    (run / "checkpoints/fit/best.ckpt").unlink()
    line = refused(capsys, verb, str(run), "-o", str(tmp_path / "out"))
    assert "lacks best.ckpt" in line
    assert not (tmp_path / "out" / "scores").exists()


def test_a_resume_that_is_refused_leaves_the_run_as_it_was(here, capsys, monkeypatch):
    def refusing(self: Session) -> None:
        raise UsageError("not so")

    main(["train", *QUICK])
    (path,) = (here / "runs").iterdir()
    before = RunDirectory(path)
    before.update(status="interrupted")
    monkeypatch.setattr(Session, "_work", refusing)
    capsys.readouterr()
    assert refused(capsys, "train", *QUICK, f"--resume={path}") == "genlab: not so"
    assert before.read()["status"] == "interrupted"
    assert before.read()["error"] is None


def test_a_run_that_cannot_be_read_is_named_when_one_is_looked_for(here, capsys):
    main(["train", *QUICK])
    (path,) = (here / "runs").iterdir()
    (path / "run.json").write_text("{")
    capsys.readouterr()
    assert main(["train", *QUICK, "--resume=auto"]) == 0
    assert f"genlab: passed over: runs/{path.name}/run.json" in capsys.readouterr().err


def test_nothing_can_be_written_where_it_is_asked_for(run, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    capsys.readouterr()
    out = str(tmp_path / "out")
    for words in (
        ["export", str(run), "-o", out],
        ["gallery", str(run), "-o", out],
        ["data", "shard", "digits", "-o", out],
        ["sweep", "seed=1", *QUICK, "-o", out],
        ["plugins", "new", "acme", "-o", out],
    ):
        assert "cannot be written: name a folder" in refused(capsys, *words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("evaluate RUN seed=-1", "seed=-1: expected a whole number, 0 or greater"),
        ("sample RUN --n 99999999999", "one set of 99999999999 samples takes"),
    ],
)
def test_numbers_that_cannot_be_meant(run, capsys, words, says):
    verb, *more = words.replace("RUN", str(run)).split()
    capsys.readouterr()
    assert says in refused(capsys, verb, *more)


@pytest.mark.parametrize("words", ["train", "train --resume=RUN", "evaluate RUN", "sample RUN"])
def test_a_place_that_cannot_be_written(run, capsys, monkeypatch, words):
    """Found out before the work; what only reads goes on."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    verb, *more = words.replace("RUN", str(run)).split()
    capsys.readouterr()
    line = refused(capsys, verb, *(QUICK if verb == "train" else ()), *more)
    assert "cannot be written: name a folder or a copy that can" in line
    assert main(["info", str(run)]) == 0


def test_a_missing_test_file_is_found_before_a_run_is_made(capsys, here, monkeypatch):
    monkeypatch.setenv("GENLAB_DATA", str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    line = refused(capsys, "train", "model=independent", "data=debd", "data.name=msnbc")
    assert "genlab data fetch debd/msnbc" in line
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("name", "says"), [("debd", "debd is several data sets"), ("toy2d", "data=toy2d has no files")]
)
def test_what_cannot_be_fetched(capsys, name, says):
    assert says in refused(capsys, "data", "fetch", name)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "VERB; see genlab --help"),
        (["trian"], "invalid choice: 'trian'"),
        (
            ["sample", "runs/x", "--seed", "abc"],
            "invalid int value: 'abc'; see genlab sample --help",
        ),
    ],
)
def test_words_that_no_verb_takes_are_one_line(capsys, words, says):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
