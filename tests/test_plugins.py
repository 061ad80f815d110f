"""A package is there because it is installed; however broken it is, everything else goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from unittest.mock import patch

import pytest

from genlab import options, plugins, probe, targets
from genlab.cli.main import main
from genlab.lightning_entry_points import broken_entry_points

MODEL = """
from genlab.models.made import MADE

def small(spec, hidden: int = 7) -> MADE:
    return MADE(spec, hidden=(hidden,))
"""


def install(
    folder: Path,
    name: str,
    code: str = "",
    files: dict[str, str] | None = None,
    *,
    distribution: str = "",
    requires: str = "",
) -> None:
    """A distribution genlab-<name> with an entry point, as pip would leave it."""
    distribution = distribution or f"genlab-{name}"
    package = folder / distribution.replace("-", "_")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    for path, text in (files or {}).items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text)
    about = folder / f"{package.name}-1.2.dist-info"
    about.mkdir()
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n{needs}"
    (about / "METADATA").write_text(metadata)
    (about / "entry_points.txt").write_text(f"[genlab.plugins]\n{name} = {package.name}\n")


def model(target: str, **keys: str) -> dict[str, str]:
    """configs/model/small.yaml of a package that offers this target."""
    return {"configs/model/small.yaml": f"# A small model of somebody else\n_target_: {target}\n"}


@pytest.fixture
def site(tmp_path) -> Path:
    folder = tmp_path / "site"
    install(folder, "acme", MODEL, model("genlab_acme.small"))
    return folder


@pytest.fixture
def here(site, monkeypatch):
    """This process as it would be with the site installed, started beside it."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(site.parent)
    monkeypatch.setattr(targets, "_trusted_prefixes", [])
    forget()
    yield monkeypatch
    forget()
    for name in [name for name in sys.modules if name.startswith(("genlab_", "my_models"))]:
        del sys.modules[name]


def forget() -> None:
    """What was found to be installed before."""
    for each in (plugins.plugins, options.trees, options.options):
        each.cache_clear()


def statuses() -> dict[str, str]:
    forget()
    return {p.distribution: p.status for p in plugins.plugins()}


@pytest.fixture
def genlab(here, capsys):
    """The command line in this process: its exit code, what it printed, what it complained of."""

    def run(*words: str, **environment: str) -> tuple[int, str, str]:
        forget()
        with patch.dict(os.environ, environment), patch.object(sys, "path", list(sys.path)):
            code = main(words)
        return code, *capsys.readouterr()

    return run


def complains(done: tuple[int, str, str], code: int, *texts: str) -> bool:
    """Whether it ended with this code and one line that says all of this."""
    found, _, line = done
    assert found == code, line
    assert line.startswith("genlab: ")
    assert line.count("\n") == 1
    return all(text in line for text in texts)


# ------------------------------------------------------------------------------------------ what is found


def test_listed_with_their_distribution_and_what_they_add(site, genlab):
    install(site, "empty")
    listed = json.loads(genlab("plugins", "list", "--json")[1])
    assert [
        (p["name"], p["distribution"], p["version"], p["status"], p["adds"]) for p in listed
    ] == [
        ("acme", "genlab-acme", "1.2", "ok", ["model=small"]),
        ("empty", "genlab-empty", "1.2", "package 'genlab_empty' has no configs/ folder", []),
    ]
    models = json.loads(genlab("list", "models", "--json")[1])["models"]
    small = next(m for m in models if m["name"] == "small")
    assert small["distribution"] == "genlab-acme"
    assert small["summary"] == "A small model of somebody else"


def test_an_entry_point_to_a_missing_package_is_listed_so(site, here):
    install(site, "gone")
    (site / "genlab_gone" / "__init__.py").unlink()
    (site / "genlab_gone").rmdir()
    assert statuses()["genlab-gone"] == "package 'genlab_gone' is not installed"


@pytest.mark.parametrize("needs", ["genlab>=99", "genlab<0.0.1", "genlab==0.1.*,>=7"])
def test_one_for_another_genlab_is_listed_and_not_offered(site, here, needs):
    install(
        site,
        "old",
        MODEL,
        {"configs/model/older.yaml": "_target_: genlab_old.small"},
        requires=needs,
    )
    assert statuses()["genlab-old"].startswith("it needs genlab")
    assert "older" not in {o.name for o in options.options("model")}


@pytest.mark.parametrize("needs", ["genlab>=0.1", "numpy>=99", 'genlab>=99; python_version < "3"'])
def test_what_it_needs_of_others_or_elsewhere_is_not_asked(site, here, needs):
    install(
        site, "new", requires=needs, files={"configs/model/newer.yaml": "_target_: genlab_new.M"}
    )
    assert statuses()["genlab-new"] == "ok"


def test_an_incompatible_one_is_never_imported(site, genlab):
    yaml = {"configs/model/older.yaml": "_target_: genlab_old.M"}
    install(site, "old", "open('imported', 'w')", yaml, requires="genlab>=99")
    done = genlab("config", "check", "model._target_=genlab_old.M", "model=made")
    assert complains(done, 3, "plugin old is not used", "it needs genlab>=99")
    assert not (site.parent / "imported").exists()


def test_a_requirement_that_cannot_be_read(site, here):
    install(site, "odd", requires="genlab >>> 3")
    assert "cannot be read" in statuses()["genlab-odd"]


def test_two_of_one_name_are_both_refused_until_one_is_disabled(site, here):
    install(site, "acme", MODEL, model("genlab_copy.small"), distribution="genlab-copy")
    assert "genlab-copy has a plugin of this name too" in statuses()["genlab-acme"]
    assert "genlab-acme has a plugin of this name too" in statuses()["genlab-copy"]
    plugins.plugins.cache_clear()
    here.setenv("GENLAB_DISABLE_PLUGINS", "genlab-copy")
    assert statuses() == {"genlab-acme": "ok", "genlab-copy": "disabled by GENLAB_DISABLE_PLUGINS"}


@pytest.mark.parametrize("name", ["genlab", "local"])
def test_the_names_of_other_places_are_taken(site, here, name):
    install(site, name, distribution="genlab-sly")
    assert statuses()["genlab-sly"] == f"the name '{name}' is genlab's own"


# ------------------------------------------------------------------------------------------ which are used


@pytest.mark.parametrize(
    ("variable", "value", "used"),
    [
        ("GENLAB_PLUGINS", "acme", {"acme"}),
        ("GENLAB_PLUGINS", "genlab-other, acme", {"acme", "other"}),
        ("GENLAB_PLUGINS", "", set()),
        ("GENLAB_DISABLE_PLUGINS", "acme", {"other"}),
        ("GENLAB_DISABLE_PLUGINS", "genlab-acme,other", set()),
        ("GENLAB_DISABLE_PLUGINS", "*", set()),
        ("GENLAB_DISABLE_PLUGINS", "not_installed", {"acme", "other"}),
    ],
)
def test_the_environment_says_which(site, here, variable, value, used):
    install(site, "other", files=model("genlab_other.small"))
    here.setenv(variable, value)
    assert {p.name for p in plugins.used_plugins()} == used
    assert {o.tree.name for o in options.options("model")} == used | {"genlab"}


def test_one_that_is_asked_for_must_be_installed(site, genlab):
    done = genlab("list", GENLAB_PLUGINS="acne")
    assert complains(done, 2, "GENLAB_PLUGINS: no plugin 'acne' is installed; did you mean 'acme'?")


def test_who_asks_for_a_part_of_one_that_is_not_used_reads_why(site, genlab):
    install(site, "next", MODEL, model("genlab_next.small"), requires="genlab>=9")
    assert complains(genlab("config", "check", "model=next/small"), 3, "plugin next", "genlab>=9")
    done = genlab("config", "check", "model=small", GENLAB_DISABLE_PLUGINS="acme")
    assert complains(done, 2, "model=small: plugin acme is not used: disabled by GENLAB_DISABLE")


def test_who_asks_for_a_part_of_one_that_has_none_reads_why(site, genlab):
    install(site, "nothing")
    install(site, "gone")
    (site / "genlab_gone" / "__init__.py").unlink()
    (site / "genlab_gone").rmdir()
    done = genlab("config", "check", "model=nothing/x")
    assert complains(
        done, 3, "model=nothing/x: plugin nothing is not used", "has no configs/ folder"
    )
    done = genlab("train", "model=made", "data=gone/x")
    assert complains(
        done, 3, "data=gone/x: plugin gone is not used", "'genlab_gone' is not installed"
    )
    assert complains(genlab("config", "check", "model=nothin/x"), 2, "there is no such model")
    done = genlab("config", "check", "model=acme/x", GENLAB_DISABLE_PLUGINS="acme")
    assert complains(done, 2, "model=acme/x: plugin acme is not used: disabled by")


def test_none_of_them(site, genlab):
    done = genlab("config", "check", "model=small", "--no-plugins")
    assert complains(done, 2, "model=small: plugin acme is not used: all are off (--no-plugins or")


def test_strict_mode_makes_an_error_of_any_problem(site, genlab):
    install(site, "empty")
    install(site, "void")
    assert genlab("list", "models")[0] == 0
    done = genlab("list", "models", GENLAB_STRICT_PLUGINS="1")
    assert complains(done, 3, "plugin empty", "plugin void", "has no configs/ folder")


# ----------------------------------------------------------------------------------------------- which name


def test_a_name_offered_twice_is_refused_until_it_is_qualified(site, genlab):
    install(site, "other", MODEL.replace("7", "3"), model("genlab_other.small"))
    done = genlab("config", "check", "model=small")
    assert complains(done, 2, "model=acme/small or model=other/small")
    done = genlab("config", "show", "model=other/small")
    assert "genlab_other.small" in done[1], done[2]
    assert "genlab_acme" not in done[1]
    done = genlab("config", "check", "model=acme/smal")
    assert complains(done, 2, "model=acme/smal: there is no such model; did you mean 'acme/small'?")


def test_a_choice_in_a_file_is_held_to_the_same_rule(site, genlab):
    experiment = "# @package _global_\n# One\ndefaults:\n  - override /model: {}\n"
    files = {
        "configs/experiment/vague.yaml": experiment.format("small"),
        "configs/experiment/clear.yaml": experiment.format("other/small"),
    }
    install(site, "other", MODEL, model("genlab_other.small") | files)
    assert complains(genlab("config", "show", "experiment=vague"), 2, "model=other/small")
    done = genlab("config", "show", "experiment=clear")
    assert "genlab_other.small" in done[1], done[2]
    assert genlab("config", "show", "experiment=other/clear")[1] == done[1]


def test_no_plugin_takes_a_name_of_genlabs(site, genlab):
    shadow = {"configs/model/made.yaml": "# Not ours\n_target_: genlab_shadow.small\n"}
    install(site, "shadow", MODEL, shadow)
    assert "genlab.models.made" in genlab("config", "show", "model=made")[1]
    assert "genlab_shadow.small" in genlab("config", "show", "model=shadow/made")[1]
    assert "genlab.models.made" in genlab("config", "show", "model=genlab/made")[1]
    listed = json.loads(genlab("plugins", "list", "--json")[1])
    assert listed[-1]["adds"] == ["model=shadow/made"]
    assert listed[-1]["also_by"] == {"model=made": ["genlab"]}
    assert "model=made: also offered by genlab" in genlab("plugins", "list")[1]


def test_models_of_a_folder_that_is_no_package(site, genlab):
    local = site.parent / "configs" / "model"
    local.mkdir(parents=True)
    (local / "mine.yaml").write_text("# My own\n_target_: my_models.small\n")
    (site.parent / "my_models.py").write_text(MODEL)
    models = json.loads(genlab("list", "models", "--json")[1])["models"]
    assert next(m["distribution"] for m in models if m["name"] == "mine") == "./configs"
    done = genlab("config", "check", "model=mine")
    assert complains(done, 2, "my_models.small", "--allow-target")
    done = genlab("config", "check", "model=mine", "--allow-target", "my_models.")
    assert "MADE on digits" in done[1], done[2]
    (local / "made.yaml").write_text("_target_: my_models.small\n")
    assert complains(genlab("config", "show", "model=made"), 2, "genlab/made", "local/made")


# ------------------------------------------------------------------------------------------------ what runs


def test_model_of_a_plugin_is_built(site, genlab):
    done = genlab("config", "check", "model=small", "model.hidden=5")
    assert done[0] == 0, done[2]
    assert "MADE on digits" in done[1]


FAULTS = {
    "raises": ("raise RuntimeError('my bug')", "my bug"),
    "syntax": ("def (:\n", "SyntaxError"),
    "missing": ("import a_package_that_is_missing", "a_package_that_is_missing"),
    "exits": ("import sys; sys.exit(0)", "SystemExit"),
}


def test_broken_plugins_are_errors_only_for_who_asks_for_them(site, genlab):
    for name, (code, _) in FAULTS.items():
        install(site, name, code, {f"configs/model/{name}.yaml": f"_target_: genlab_{name}.Model"})
    assert genlab("config", "check", "model=made")[0] == 0
    assert genlab("list")[0] == 0
    for name, (_, said) in FAULTS.items():
        done = genlab("config", "check", f"model={name}")
        assert complains(done, 3, said, f"genlab_{name}/__init__.py:1)")


def in_a_process_of_its_own(site: Path, *words: str) -> subprocess.CompletedProcess:
    """With what was imported, in one line of standard output after the rest."""
    code = (
        "import sys; from genlab.cli.main import main; code = main(sys.argv[1:]); "
        "print(*sorted({name.split('.')[0] for name in sys.modules})); sys.exit(code)"
    )
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env=os.environ | {"PYTHONPATH": path},
        cwd=site.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_traceback_of_an_author_is_shown_when_asked_for(site):
    install(site, "raises", "raise RuntimeError('my bug')", model("genlab_raises.Model"))
    done = in_a_process_of_its_own(site, "config", "check", "model=raises/small", "--debug")
    assert done.returncode == 3
    assert "genlab_raises/__init__.py" in done.stderr
    assert "RuntimeError: my bug" in done.stderr


@pytest.fixture
def ten(site) -> Path:
    """Ten plugins, some of them broken in every way."""
    for name, (code, _) in FAULTS.items():
        install(site, name, code, {f"configs/model/{name}.yaml": f"_target_: genlab_{name}.Model"})
    install(
        site, "heavy", "import torch", {"configs/model/heavy.yaml": "_target_: genlab_heavy.Model"}
    )
    install(site, "nothing")
    install(
        site, "yaml", "", {"configs/model/broken.yaml": "a: [", "configs/data/broken.yaml": "]"}
    )
    install(site, "later", requires="genlab>=99", files=model("genlab_later.Model"))
    install(site, "shadow", MODEL, {"configs/model/made.yaml": "_target_: genlab_shadow.small"})
    return site


@pytest.mark.parametrize(
    "words",
    [["--help"], ["list"], ["plugins", "list"], ["config", "show", "model=made"]],
    ids=" ".join,
)
def test_with_ten_plugins_nothing_is_imported_to_read_words(ten, words):
    done = in_a_process_of_its_own(ten, *words)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    assert not {name for name in imported if name.startswith("genlab_")}
    assert "torch" not in imported


def test_with_ten_plugins_a_model_of_genlabs_is_trained(ten):
    words = ["model=made", "data=digits_binary", "stages.fit.max_steps=2", "evaluate=[]"]
    done = in_a_process_of_its_own(ten, "train", *words, "samples=null", "gallery=false")
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    assert not {name for name in imported if name.startswith("genlab_")}


@pytest.mark.parametrize("text", ["a: [1\n", "a: b: c\n", "\t- x\n"])
def test_yaml_that_is_not_yaml(site, genlab, text):
    install(site, "bad", "", {"configs/model/bad.yaml": f"# Bad\n{text}"})
    assert genlab("list", "models")[0] == 0
    listed = {p["name"]: p["status"] for p in json.loads(genlab("plugins", "list", "--json")[1])}
    assert "bad.yaml, line " in listed["bad"]
    assert listed["acme"] == "ok"
    assert complains(genlab("config", "show", "model=bad"), 3, "bad.yaml, line", "not YAML")
    assert complains(genlab("config", "show", "model=bad/bad"), 3, "bad.yaml, line", "not YAML")


def test_yaml_without_keys(site, genlab):
    install(site, "other", files={"configs/model/bare.yaml": "- 1\n- 2\n"})
    assert complains(
        genlab("config", "check", "model=bare"), 3, "bare.yaml: expected keys and values"
    )
    assert genlab("config", "check", "model=small")[0] == 0


@pytest.mark.parametrize(
    ("group", "head", "said"),
    [
        (
            "model",
            "# @package _global_\n",
            "leave '# @package _global_' out: its keys are those of mod",
        ),
        ("model", "# One\n# @package _global_\n", "leave '# @package _global_' out"),
        (
            "data",
            "# @package data.inner\n",
            "leave '# @package data.inner' out: its keys are those of d",
        ),
        ("experiment", "# One\n", "its first line must be '# @package _global_'"),
        (
            "experiment",
            "# One\n# @package _global_\n",
            "its first line must be '# @package _global_'",
        ),
        ("schedule", "# One\n", "its first line must be '# @package model.schedule'"),
    ],
)
def test_a_file_whose_keys_would_be_elsewhere(site, genlab, group, head, said):
    """Each of these was once read in silence, as if it said nothing."""
    text = f"{head}seed: 3\n"
    install(site, "other", files={f"configs/{group}/astray.yaml": text})
    assert complains(genlab("config", "show", f"{group}=astray"), 3, "astray.yaml: ", said)


def test_keys_of_a_global_file_that_nothing_reads(site, genlab):
    head = "# @package _global_\n# Bare\n"
    install(site, "other", files={"configs/experiment/bare.yaml": f"{head}optimiser: null\n"})
    done = genlab("config", "show", "experiment=bare")
    assert complains(done, 3, "bare.yaml: there is no key 'optimiser'", "did you mean 'optimizer'?")


def test_a_target_elsewhere_is_refused_by_name_however_it_is_hidden(site, genlab):
    files = {
        "configs/model/plain.yaml": "_target_: os.system\n",
        "configs/model/hidden.yaml": "way: os.system\n_target_: ${model.way}\n",
        "configs/model/inner.yaml": "_target_: genlab_sly.small\nhidden: {_target_: os.getcwd}\n",
    }
    install(site, "sly", "from os import system\n" + MODEL, files)
    for name, target in {"plain": "os.system", "hidden": "os.system", "inner": "os.getcwd"}.items():
        done = genlab("config", "check", f"model={name}")
        assert complains(done, 2, f"_target_={target} is not", f"--allow-target {target}")
    done = genlab("config", "check", "model=plain", "model._target_=genlab_sly.system")
    assert complains(done, 2, "genlab_sly.system is not a component")


# ------------------------------------------------------------------------------------------ what is wrong

RUDE = """
import os, random, logging
import numpy, torch
torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
torch.set_num_threads(7)
numpy.random.seed(1)
random.seed(1)
torch.distributions.Distribution.set_default_validate_args(False)
os.environ["RUDE"] = "1"
logging.basicConfig()
os.chdir("/")
"""


def test_doctor_imports_each_in_a_process_of_its_own(site, genlab):
    for name, (code, _) in FAULTS.items():
        install(site, name, code, {f"configs/model/{name}.yaml": f"_target_: genlab_{name}.Model"})
    install(site, "rude", RUDE, model("genlab_rude.Model"))
    inner = {
        "deep.py": "\n\n1 / 0\n",
        "configs/model/deep.yaml": "_target_: genlab_deep.deep.Model\n",
    }
    install(site, "deep", "", inner)
    install(site, "dead", "import os; os._exit(7)", model("genlab_dead.Model"))
    install(site, "later", requires="genlab>=99", files=model("genlab_later.Model"))
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    code, out, err = genlab("plugins", "doctor", "--json", PYTHONPATH=path)
    assert code == 3, err
    found = {p["name"]: p for p in json.loads(out)["plugins"]}
    assert found["acme"]["error"] == ""
    assert found["acme"]["changed"] == []
    assert 0 <= found["acme"]["seconds"] < 30
    for name, (_, said) in FAULTS.items():
        assert said in found[name]["error"]
    assert found["raises"]["where"].endswith("genlab_raises/__init__.py:1")
    assert found["syntax"]["where"].endswith("genlab_syntax/__init__.py:1")
    assert found["deep"]["where"].endswith("genlab_deep/deep.py:3")
    assert found["dead"]["error"] == "its import ends Python, with exit code 7"
    assert "it needs genlab>=99" in found["later"]["error"]
    changed = "\n".join(found["rude"]["changed"])
    for what in (
        "default dtype: torch.float32 is now torch.float64",
        "number of threads: 1 is now 7",
        "torch's random state",
        "NumPy's random state",
        "Python's random state",
        "argument checks of torch.distributions: True is now False",
        "environment: RUDE",
        "working directory",
        "handlers of the root logger: 0 is now 1",
    ):
        assert what in changed, changed
    assert "genlab_rude" not in sys.modules


def test_doctor_waits_for_the_import_and_not_for_torch(site, genlab, monkeypatch):
    monkeypatch.setattr("genlab.probe.PATIENCE", 20.0)
    install(site, "slow", "import time; time.sleep(60)", model("genlab_slow.Model"))
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    code, out, _ = genlab("plugins", "doctor", "acme", "slow", PYTHONPATH=path)
    assert code == 3
    assert "its import takes longer than 20 s" in out
    assert out.splitlines()[0].endswith("ok")


def test_a_part_that_no_check_could_try_has_not_passed(site, genlab):
    code = """
from genlab.metrics import DatumMetric

class Picky(DatumMetric):
    name, shown = "picky", ("picky",)

    @classmethod
    def lacking(cls, model):
        return "what no model has"

    def forward(self, batch, *, generator):
        return {}

    def floor(self, data, split):
        return None
"""
    words = "# Picky\npicky:\n  _target_: genlab_picky.Picky\n"
    install(site, "picky", code, {"configs/metric/picky.yaml": words})
    done = genlab("plugins", "check", "picky")
    assert done[0] == 3
    assert "not one check ran: " in done[1]


class RcParams(dict):
    """matplotlib's, as far as it matters: its backend is no text until somebody chooses one."""

    def __getitem__(self, key: str):
        raise AssertionError("matplotlib, asked in this way, would choose one")


@pytest.mark.parametrize(
    ("backend", "said"),
    [(object(), ""), ("agg", ""), ("svg", "matplotlib's backend: None is now svg")],
    ids=["none", "that of MPLBACKEND", "another"],
)
def test_a_backend_that_an_import_chose_is_seen(monkeypatch, backend, said):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    what, before = "matplotlib's backend", probe._state()
    module = types.ModuleType("matplotlib")
    module.rcParams = RcParams(backend=backend)
    monkeypatch.setitem(sys.modules, "matplotlib", module)
    assert probe._in_words(what, before[what], probe._state()[what]) == said


@pytest.fixture
def harmless(monkeypatch):
    """Imports that do nothing but take their time: no process is made for them."""
    monkeypatch.setattr("genlab.probe._imported", lambda plugin: probe.Finding(0.25))


def test_doctor_reads_what_is_there_to_be_read(site, genlab, harmless):
    words = {
        "configs/data/latin.yaml": "",
        "configs/metric/listed.yaml": "- 1\n",
        "configs/model/bad.yaml": "# Bad\n_target_: [\n",
        "configs/model/fine.yaml": "_target_: genlab_bad.small\n",
    }
    install(site, "bad", MODEL, words)
    (site / "genlab_bad" / "configs" / "data" / "latin.yaml").write_bytes(b"a: \xff\n")
    code, out, _ = genlab("plugins", "doctor")
    acme, bad, *faults = out.splitlines()
    assert code == 3
    assert acme == "acme  genlab-acme 1.2  imported in 0.25 s  ok"
    assert bad == "bad  genlab-bad 1.2  imported in 0.25 s"
    said = (
        "data/latin.yaml is no text in UTF-8",
        "metric/listed.yaml: expected keys and values",
        "model/bad.yaml, line 3: this is not YAML: ",
    )
    assert all(text in fault for text, fault in zip(said, faults, strict=True))
    found = json.loads(genlab("plugins", "doctor", "--json")[1])["plugins"]
    assert [len(p["unreadable"]) for p in found] == [0, 3]
    assert genlab("plugins", "doctor", "acme")[0] == 0


def test_doctor_names_what_breaks_lightning(site, genlab, harmless):
    """Lightning loads these entry points for every Trainer, and fails where one of them does."""
    about = site / "sad_callbacks-3.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sad-callbacks\nVersion: 3.1\n")
    entry = "[pytorch_lightning.callbacks_factory]\nsad = a_package_that_is_missing:callbacks\n"
    (about / "entry_points.txt").write_text(entry)
    said = "sad-callbacks breaks every Lightning Trainer: ModuleNotFoundError("
    (found,) = broken_entry_points()
    assert found.startswith(said)
    assert found.endswith("; uninstall it")
    code, out, _ = genlab("plugins", "doctor")
    assert code == 3
    assert found in out.splitlines()
    assert json.loads(genlab("plugins", "doctor", "--json")[1])["others"] == [found]
    (about / "entry_points.txt").write_text(
        entry.replace("a_package_that_is_missing", "math").replace("callbacks\n", "sqrt\n")
    )
    assert broken_entry_points() == []


def test_doctor_of_one(site, genlab):
    install(site, "raises", "raise RuntimeError('my bug')", model("genlab_raises.Model"))
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    code, out, _ = genlab("plugins", "doctor", "acme", PYTHONPATH=path)
    assert code == 0
    assert out.startswith("acme  genlab-acme 1.2  imported in ")
    assert complains(genlab("plugins", "doctor", "acne"), 2, "'acne'", "did you mean 'acme'?")
