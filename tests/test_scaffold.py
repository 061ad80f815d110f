"""A new package works as it was written, and the page for authors is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from genlab.cli.main import main
from genlab.cli.plugins import KINDS
from genlab.errors import UsageError
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
    script = home / "bin" / "genlab"
    script.write_text(f"#!{python}\nfrom genlab.cli.main import main\nraise SystemExit(main())\n")
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


@pytest.mark.slow
def test_the_commands_of_the_page_work_as_written(tmp_path, environment):
    first = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert first is not None
    said = run(first[1], tmp_path, environment)
    assert re.search(r"\d\d+ checks ran, 0 failed", said.stdout)
    assert "mixture-digits" in said.stdout
    assert "exact" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "model"])
def test_a_wheel_of_a_new_package_is_found_and_conforms(tmp_path, environment, kind):
    target = write("brand_new", kind, tmp_path)
    assert target == tmp_path / "genlab-brand-new"
    run(f"pip wheel -q --no-deps -w wheels ./{target.name}", tmp_path, environment)
    run("pip install -q --no-deps wheels/*.whl", tmp_path, environment)
    shutil.rmtree(target)
    assert f"{kind}=brand_new" in run("genlab plugins list", tmp_path, environment).stdout
    said = run("genlab plugins doctor brand_new", tmp_path, environment)
    assert said.stdout.strip().endswith("ok")
    said = run("genlab plugins check brand_new", tmp_path, environment)
    assert re.search(r"\d+ checks ran, 0 failed", said.stdout)


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
