"""From words on a command line to a checked configuration: Hydra's compose API, and stricter.

Because YAML states only what differs from a signature, ``a.b=v`` may name a key that no file mentions:
it is composed as ``++a.b=v``, and the check against signatures (genlab.components) takes the place of
Hydra's struct mode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genlab import search
from genlab.errors import GenlabError, PluginError, UsageError
from genlab.options import GROUPS, LOCAL, OWN, Option, core_configs, option, options
from genlab.plugins import used_plugins
from genlab.readable import UNREADABLE, fault
from genlab.spelling import suggest
from genlab.trust import Refused

INSIDE = {
    "schedule": "model.schedule",
    "denoiser": "model.denoiser",
    "network": "model.network",
}  # groups that are parts of a model
PACKAGES = INSIDE | {"experiment": "_global_"}  # whose keys are not those of their group
REQUIRED = ("model", "data", "trainer", "likelihood")
CHOSEN = ("optimizer", "sampler", "logger")  # one component each, or none
KEYS = (*GROUPS, "seed", "stages", "folder", "name", "evaluate", "samples", "gallery", "select")
# What decides the weights: two runs with the same values of these end in the same place.
IDENTITY = ("model", "data", "optimizer", "stages", "select", "callbacks", "seed")
IDENTITY_OF_TRAINER = (
    "precision",
    "gradient_clip_val",
    "accumulate_grad_batches",
    "check_val_every_n_epoch",
)


@dataclass(frozen=True)
class Composed:
    """A configuration, as written and with every interpolation resolved.

    choices: the option of each group, None for none.
    """

    written: dict[str, Any]
    resolved: dict[str, Any]
    choices: dict[str, str | None]

    @property
    def identity(self) -> dict[str, Any]:
        """The part that decides the weights."""
        return identity(self.resolved)

    @property
    def record(self) -> dict[str, Any]:
        """What a run writes down: its identity resolved, the rest as written (it may name secrets)."""
        decides = self.identity
        trainer = {**self.written["trainer"], **decides["trainer"]}
        return self.written | decides | {"trainer": trainer}


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that decides the weights."""
    trainer = config.get("trainer")
    trainer = trainer if isinstance(trainer, Mapping) else {}
    deciding = {key: trainer[key] for key in IDENTITY_OF_TRAINER if key in trainer}
    return {key: config.get(key) for key in IDENTITY} | {"trainer": deciding}


def compose(overrides: Sequence[str]) -> Composed:
    """The configuration that these words describe.

    Raises UsageError for words that are no override, unknown keys and unknown choices.
    """
    words = [_normal(word) for word in overrides]
    search.register()
    try:
        with initialize_config_dir(str(core_configs()), version_base="1.3", job_name="genlab"):
            config = hydra_compose("config", overrides=words, return_hydra_config=True)
        chosen = dict(config.hydra.runtime.choices)
        _require_unambiguous(chosen)
        with open_dict(config):
            del config["hydra"]
        written: Any = OmegaConf.to_container(config, resolve=False)
        _refuse_environment(identity(written))
        resolved: Any = OmegaConf.to_container(config, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(_one_line(error)) from error
    except (*UNREADABLE, Refused) as error:
        raise _unreadable(error) from error
    _require_keys(chosen, resolved)
    return Composed(written, resolved, {group: chosen.get(group) for group in GROUPS})


def _require_unambiguous(chosen: Mapping[str, Any]) -> None:
    """What a file chose in its defaults is held to the rule for words."""
    for group in GROUPS:
        if chosen.get(group) is not None:
            option(group, chosen[group])


def _unreadable(error: YAMLError | UnicodeDecodeError | Refused) -> GenlabError:
    """Of a file that is no YAML; whose fault that is follows from where it lies."""
    if isinstance(error, Refused):
        folders = [str(p.folder) for p in used_plugins() if p.folder]
        return (PluginError if str(error).startswith(tuple(folders)) else UsageError)(str(error))
    mark = getattr(error, "problem_mark", None)
    theirs = mark and any(
        Path(mark.name).is_relative_to(p.folder) for p in used_plugins() if p.folder
    )
    return (PluginError if theirs else UsageError)(fault(error))


def _require_keys(chosen: Mapping[str, Any], resolved: Mapping[str, Any]) -> None:
    """Refuse a key that nothing reads, and an option that is YAML, but a list or a word."""
    files = {g: option(g, chosen[g]) for g in GROUPS if chosen.get(g) is not None}
    for each in files.values():
        _require_package(each)
    for key in resolved:
        if key not in KEYS:
            by = files.get("experiment", files["model"])
            raise _fault(by)(f"{by.path}: there is no key {key!r}{suggest(key, KEYS)}")
    for group, each in files.items():
        node = resolved.get(group)
        if node is None or isinstance(node, Mapping):
            continue
        raise _fault(each)(f"{each.path}: expected keys and values, as _target_: …, not {node}")
    for group in CHOSEN:
        _require_chosen(group, resolved.get(group))


def _require_chosen(group: str, node: Any) -> None:
    """Refuse options of a component that nobody has chosen."""
    if node is not None and not (isinstance(node, Mapping) and "_target_" in node):
        names = ", ".join(option.name for option in options(group))
        raise UsageError(f"{group}.…: choose one too, {group}=NAME, NAME one of {names}")


def _require_package(file: Option) -> None:
    """Refuse a file whose head puts its keys elsewhere than its group belongs, or would, were it read."""
    wanted = PACKAGES.get(file.group)
    if file.packages == ([wanted] if wanted else []) and file.package == wanted:
        return
    if wanted:
        raise _fault(file)(f"{file.path}: its first line must be '# @package {wanted}'")
    line = f"# @package {file.packages[0]}"
    raise _fault(file)(f"{file.path}: leave '{line}' out: its keys are those of {file.group}")


def _fault(file: Option) -> type[GenlabError]:
    """The error of whoever wrote it."""
    return UsageError if file.tree.name in (OWN, LOCAL) else PluginError


def notation(value: Any) -> str:
    """A plain value as a word on the command line gives it.

    >>> notation({10000: 0.1, "on": [None, True, "a b", "3"]})
    '{10000: 0.1, on: [null, true, a b, "3"]}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {notation(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(notation, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value if _reads_as_itself(value) else json.dumps(value, ensure_ascii=False)
    return str(value)


def _reads_as_itself(text: str) -> bool:
    """Whether unquoted text is read as this text, and not as a number, null or a piece of syntax."""
    try:
        return OverridesParser.create().parse_override(f"key={text}").value() == text
    except HydraException:
        return False


def _refuse_environment(node: Any, where: str = "") -> None:
    """The identity of a run is written into it resolved: an environment variable would go with it."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            _refuse_environment(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list):
        for value in node:
            _refuse_environment(value, where)
    elif isinstance(node, str) and "${oc.env" in node:
        top = where.split(".")[0]
        raise UsageError(f"{where}={node}: write the value itself, as a run records its {top}")


def _normal(word: str) -> str:
    """A word of ours as an override of Hydra's; what cannot be meant is refused here."""
    match = re.fullmatch(r"(~|\+{0,2})([^=]+?)(?:=(.*))?", word, flags=re.DOTALL)
    if match is None or (match[3] is None and match[1] != "~"):
        raise UsageError(f"{word!r} is not key=value")
    sign, key, value = match.groups()
    top = re.split(r"[.@]", key)[0]
    if top not in KEYS:
        raise UsageError(f"{word}: there is no key {top!r}{suggest(top, KEYS)}")
    if key in REQUIRED and (sign == "~" or value in ("", "null")):
        raise UsageError(f"{word}: a run needs a {key}; genlab list shows what there is")
    if key in GROUPS and value not in (None, "null"):
        option(key, str(value))
        return f"+{key}={value}" if key == "experiment" else f"{key}={value}"
    if sign == "~" or key in GROUPS:
        return f"~{key}" if value == "null" else word
    if top in INSIDE:
        key = INSIDE[top] + key.removeprefix(top)
    if "*" in key:
        raise UsageError(f"{word}: a word sets one key; write one for each in the place of *")
    parse(word, f"++{key}={value}")
    return f"++{key}={value}"


def parse(word: str, override: str) -> Override:
    """What Hydra reads in an override. Raises UsageError naming the word that it was made of where Hydra
    cannot read it; composing would only quote a piece of it.
    """
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{word}: the value cannot be read ({reason})") from None


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3]) or type(error).__name__
