"""A new package works as it was written, and the page for authors is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import venv
from abc import ABCMeta
from pathlib import Path

import pytest

from genlab import contracts
from genlab.cli.main import main
from genlab.cli.plugins import KINDS
from genlab.contracts import capabilities
from genlab.errors import UsageError
from genlab.metrics import DatumMetric, SampleMetric
from genlab.scaffold import write

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """A fresh virtual environment in which all that this one has is there, and pip goes nowhere."""
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    for old in Path(site).glob("setuptools*"):  # of Python 3.11, which cannot make a wheel
        shutil.rmtree(old)
    ours = sysconfig.get_path("purelib")  # with its own .pth files: this project may be in one
    Path(site, "all.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    for name, module in {"genlab": "genlab.cli.main", "pytest": "pytest"}.items():
        script = home / "bin" / name
        script.write_text(f"#!{python}\nfrom {module} import main\nraise SystemExit(main())\n")
        script.chmod(0o755)
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return os.environ | pip | {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_commands_of_the_page_work_as_written(tmp_path, environment):
    """All blocks in order, in one folder, where the package's own tests are run too."""
    said = [run(block, tmp_path, environment).stdout for block in BLOCKS]
    assert re.search(r"\d\d+ checks ran, 0 failed", said[0])
    assert "mixture-digits" in said[0]
    assert "exact" in said[0]
    assert "genlab-mixture/tests/test_mixture.py" in said[1]
    assert re.search(r"\d\d+ passed", said[1])
    assert said[1].strip().endswith("ok")
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert len(list((tmp_path / "dist").glob("genlab_mixture-*.whl"))) == 1


def test_every_command_that_the_page_talks_of_is_in_a_block():
    lines = "".join(BLOCKS).splitlines()
    told = re.findall(r"`((?:genlab train|pip|pytest|python|cp) [^`]+)`", PAGE.read_text())
    assert told
    assert all(any(line.startswith(command) for line in lines) for command in told), told


OWED = (
    *(contracts.HasLikelihood, contracts.HasImportanceWeights, contracts.HasEnergy),
    *(contracts.HasVelocity, contracts.HasEncoder, contracts.Classifies, contracts.Completes),
    *(contracts.TakesSampler, contracts.HasFigures, contracts.GenerativeModel),
    *(contracts.DataModule, contracts.Likelihood, SampleMetric, DatumMetric),
)


@pytest.mark.parametrize("promise", OWED, ids=lambda promise: promise.__name__)
def test_the_page_names_all_that_is_owed(promise):
    """What must be written, and what a class must say of itself."""
    text = PAGE.read_text()
    said = {name for name in promise.__annotations__ if not hasattr(promise, name)}
    for name in (promise.__abstractmethods__ | said) - {"samples", "real"}:
        assert re.search(rf"`{name}[(`]", text), name
    assert re.search(rf"\b{promise.__name__}\b", text)


def test_the_page_names_every_capability():
    found = {c for c in vars(capabilities).values() if isinstance(c, ABCMeta)}
    own = {c for c in found if c.__module__ == capabilities.__name__}
    assert own - {contracts.AnnealingPath} <= set(OWED)


# In these runs each of the packages is used; draw has importance weights, which the estimator asks for.
RUNS = (
    "genlab train model=own_model data=own_data stages.fit.max_epochs=2 gallery=false",
    "genlab evaluate runs/*-ownmodel-* metric=own_metric",
    "genlab train model=draw model.hidden=8 model.glimpses=2 data=own_data stages.fit.max_steps=5 "
    "gallery=false likelihood=own_likelihood likelihood.groups=2 evaluate=[test]",
)


@pytest.mark.slow
def test_wheels_of_new_packages_are_found_and_conform_and_work(tmp_path, environment):
    """One package of each kind, installed from its wheel, with no sources left."""
    targets = [write(f"own_{kind}", kind, tmp_path) for kind in KINDS]
    assert targets[0] == tmp_path / "genlab-own-model"
    names = [f"./{target.name}" for target in targets]
    run(f"pip wheel -q --no-deps -w wheels {' '.join(names)}", tmp_path, environment)
    run("pip install -q --no-deps wheels/*.whl", tmp_path, environment)
    for target in targets:
        shutil.rmtree(target)
    listed = run("genlab plugins list", tmp_path, environment).stdout
    assert all(f"{kind}=own_{kind}" in listed for kind in KINDS)
    said = run("genlab plugins doctor", tmp_path, environment).stdout
    assert [line.endswith("ok") for line in said.splitlines()] == [True] * len(KINDS)
    said = run(f"genlab plugins check {' '.join(f'own_{k}' for k in KINDS)}", tmp_path, environment)
    assert re.search(r"\d\d+ checks ran, 0 failed", said.stdout)
    trained, measured, estimated = (run(words, tmp_path, environment).stdout for words in RUNS)
    assert "(exact, mixture)" in trained
    assert "energy" in measured
    assert "mean of 2 bounds by 20 weights" in estimated


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_is_short(tmp_path, kind):
    package = write("brand_new", kind, tmp_path) / "src" / "genlab_brand_new"
    (code,) = package.rglob("*.py")
    (yaml,) = package.rglob("*.yaml")
    assert len(code.read_text().splitlines()) <= 40
    assert len(yaml.read_text().splitlines()) <= 6
    assert "{{" not in code.read_text() + yaml.read_text()


@pytest.mark.parametrize("name", ["genlab", "local", "My", "a-b", "1a", "class", "", "../a"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="is no name for a plugin"):
        write(name, "model", tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path, capsys):
    words = ["plugins", "new", "acme", "-o", str(tmp_path)]
    assert main(words) == 0
    readme = tmp_path / "genlab-acme" / "README.md"
    readme.write_text("mine")
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert readme.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new"], "name one package"),
        (["new", "a", "b"], "name one package"),
        (["list", "--kind", "model"], "go with genlab plugins new"),
        (["check"], "name a plugin to check"),
    ],
)
def test_words_that_do_not_go_together(capsys, words, said):
    assert main(["plugins", *words]) == 2
    assert said in capsys.readouterr().err
