"""genlab's own source, and that of its plugins: files are read in genlab/trust and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in (ROOT / "genlab", *ROOT.glob("plugins/*/src"))
    for path in folder.rglob("*.py")
    if "configs" not in path.parts
)
# What reads files that may be a stranger's, unpickles, runs text, or starts a process, by the end of its
# dotted name, and the files that may use it.
BUILTINS = ("eval", "exec", "compile", "__import__")
ONLY_IN: dict[str, tuple[str, ...]] = {
    "torch.load": (
        "trust/tensors.py",
        "testing/checks/state.py",
    ),  # the second: what it has just saved
    "np.load": ("trust/arrays.py",),
    "np.fromfile": ("data/cifar.py",),  # bytes, of a file whose size and checksum are known
    "np.memmap": (),
    "np.genfromtxt": (),
    "np.loadtxt": (),
    "safetensors.torch.load_file": ("trust/tensors.py",),
    "safetensors.torch.load": (),
    "safetensors.torch.save": ("api/export.py",),
    "safetensors.safe_open": ("trust/tensors.py",),
    "safetensors.numpy.load_file": (),
    "safetensors.numpy.load": (),
    "Image.open": ("trust/pictures.py",),
    "yaml.load": (),
    "yaml.full_load": (),
    "yaml.unsafe_load": (),
    "yaml.safe_load": ("trust/text.py",),
    "yaml.compose": ("trust/text.py",),
    "OmegaConf.load": (
        "search.py",
        "readable.py",
    ),  # configurations of installed packages and ./configs
    "json.load": ("api/checking.py",),  # from its parent, through a pipe
    "json.loads": (
        "trust/text.py",
        "sweeps/checking.py",  # from its child, through a pipe
        "probe.py",  # likewise, through a file in a folder of its own
        "gallery/quality.py",  # what it wrote itself, as a key
        "api/export.py",  # what it wrote itself, to compare
    ),
    ".read_text": (
        "trust/text.py",
        "options.py",  # configurations of installed packages and of ./configs
        "search.py",  # likewise
        "targets.py",  # genlab's own configurations
        "probe.py",  # a plugin's configurations
        "scaffold/__init__.py",  # genlab's own templates
        "data/tables.py",  # a method of its own
        "data/fetch.py",  # that method
    ),
    ".read_bytes": ("trust/files.py",),
    **{f"builtins.{name}": () for name in BUILTINS},
    "os.system": (),
    "os.popen": (),
    "runpy": (),
    "importlib.import_module": (
        "targets.py",  # once the path is judged
        "cli/main.py",  # the verbs
        "probe.py",  # a plugin, in a process of its own
        "sweeps/extras.py",  # optuna, submitit
    ),
    "subprocess.Popen": (
        "launch/children.py",
        "sweeps/attempt.py",
        "sweeps/checking.py",
        "probe.py",
    ),
    "subprocess.run": ("testing/processes.py",),
}
MODULES: dict[str, tuple[str, ...]] = {
    "pickle": ("trust/tensors.py",),  # the name of its error
    "pickletools": ("trust/tensors.py",),  # which reads and makes nothing
    "dill": (),
    "cloudpickle": (),
    "marshal": (),
    "shelve": (),
    "gzip": ("trust/packed.py",),
    "bz2": (),
    "lzma": (),
    "zipfile": ("trust/arrays.py", "trust/tensors.py"),
    "tarfile": ("trust/packed.py",),
    "zlib": (
        "trust/arrays.py",  # the name of its error
        "trust/packed.py",
        "data/matlab.py",  # the name of its error
    ),
    "xml": (),
    "lxml": (),
}


def title(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def may(path: Path, allowed: tuple[str, ...]) -> bool:
    return any(title(path) == f"genlab/{name}" for name in allowed)


def dotted(node: ast.AST) -> str:
    """``a.b.c``; of a call in between, what it is called on."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return ".".join([node.id if isinstance(node, ast.Name) else "", *reversed(parts)])


def used(path: Path) -> Iterator[tuple[int, str]]:
    """The line and dotted name of all that is used, the names of imports written out; of builtins, those
    that are called.
    """
    tree = ast.parse(path.read_text())
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in BUILTINS
        ):
            yield node.lineno, f"builtins.{node.func.id}"
        elif isinstance(node, ast.Attribute | ast.Name):
            first, _, rest = dotted(node).partition(".")
            name = ".".join(filter(None, (names.get(first, first), rest)))
            yield node.lineno, f"np.{name[6:]}" if name.startswith("numpy.") else name


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module.split(".")[0]


def is_use(name: str, of: str) -> bool:
    """Of ``.read_text`` any method of this name, but for what genlab itself calls so."""
    if of.startswith("."):
        return name.endswith(of) and not name.startswith("genlab.")
    return name == of or name.endswith(f".{of}")


def second_ways(path: Path, file: Path) -> list[str]:
    """What a file uses that only others may, as if it lay at path."""
    found = [
        f"{title(path)}:{line} uses {name}"
        for line, name in used(file)
        for of, allowed in ONLY_IN.items()
        if is_use(name, of) and not may(path, allowed)
    ]
    return found + [
        f"{title(path)}:{line} imports {name}"
        for line, name in imported(file)
        if name in MODULES and not may(path, MODULES[name])
    ]


@pytest.mark.parametrize("path", SOURCES, ids=title)
def test_files_are_read_in_one_place(path):
    found = second_ways(path, path)
    assert not found, "read it by genlab.trust, or give the reason here"


def test_the_net_catches(tmp_path):
    """Each of these would be a second way."""
    lines = [
        "import numpy\nnumpy.load('x')",
        "from numpy import load as read\nread('x')",
        "import torch as t\nt.load('x')",
        "from PIL import Image as I\nI.open('x')",
        "import yaml\nyaml.load('x')",
        "from pathlib import Path\nPath('x').read_text()",
        "eval('x')",
        "from importlib import import_module\nimport_module('x')",
        "import subprocess as s\ns.Popen('x')",
    ]
    for text in lines:
        file = tmp_path / "x.py"
        file.write_text(text)
        assert second_ways(ROOT / "genlab" / "x.py", file), text


def test_weights_only_is_never_left_out():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load"):
                said = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert said.get("weights_only") == "True" or said.get("allow_pickle") == "False", (
                    title(path)
                )


def test_templates_escape_everything():
    """No template turns escaping off, and every environment of templates has it on."""
    for template in (ROOT / "genlab/gallery/templates").glob("*.html"):
        text = template.read_text()
        assert "|safe" not in text.replace(" ", ""), template.name
        assert "autoescape" not in text, template.name
        assert "javascript:" not in text, template.name
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func).split(".")[-1] == "Environment"
            ):
                said = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert said.get("autoescape") == "True", title(path)
            if isinstance(node, ast.Name) and node.id in ("Markup", "mark_safe"):
                raise AssertionError(title(path))
