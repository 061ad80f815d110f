"""Text, JSON and YAML as plain values: whole numbers, numbers, text, lists and mappings, and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from genlab.trust.files import Refused, read_bytes

TEXT = 2**28  # bytes of a file of text
JSON = 2**26
YAML = 2**18  # the reader takes seconds for so much; a configuration has a few thousand
VALUES = 10**6  # in one file, each alias of YAML counted as what it stands for
CONFIGURATION = 10**4  # values in one that is composed with others, which takes long
DEPTH = 60  # lists inside of lists
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def read_text(path: Path, within: Path | None = None, most: int = TEXT) -> str:
    """Raises Refused where it is not UTF-8."""
    try:
        return read_bytes(path, within, most).decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is no text in UTF-8: {error.reason}") from None


def read_json(path: Path, within: Path | None = None) -> Any:
    """Standard JSON. Characters that a terminal would take for commands become U+FFFD. Raises Refused."""
    text = read_text(path, within, JSON)
    try:
        return plain(json.loads(text, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} is not JSON: {_line(error)}") from None


def read_yaml(path: Path, within: Path | None = None) -> Any:
    """YAML without tags: ``!!python/object`` is an error, and makes nothing. Raises Refused."""
    text = read_text(path, within, YAML)
    try:
        _written_out(yaml.compose(text, yaml.SafeLoader), {})
        return plain(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise Refused(f"{path} is not YAML: {_line(error)}") from None


def require_bounded(path: Path) -> None:
    """Raise Refused for a file of YAML that is too large, stands for too much, or is a number. What is no
    YAML at all passes: whoever reads it says so.
    """
    try:
        node = yaml.compose(read_text(path, most=YAML), yaml.SafeLoader)
        if isinstance(node, yaml.ScalarNode) and node.tag.rpartition(":")[2] not in ("str", "null"):
            raise Refused(f"{path}: expected keys and values, not {node.value}")
        if _written_out(node, {}) > CONFIGURATION:
            raise ValueError("it holds too many values")
    except yaml.YAMLError:
        return
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} is not YAML: {_line(error)}") from None


def _written_out(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for. Raises ValueError where they are too many, or without end."""
    if node is None or isinstance(node, yaml.ScalarNode):
        return 1
    if known.get(id(node)) == 0:
        raise ValueError("it refers to itself")
    if id(node) not in known:
        known[id(node)] = 0
        pairs = [part if isinstance(part, tuple) else (part,) for part in node.value]
        known[id(node)] = 1 + sum(_written_out(each, known) for pair in pairs for each in pair)
        if known[id(node)] > VALUES:
            raise ValueError("it holds too many values")
    return known[id(node)]


def plain(value: Any) -> Any:
    """A copy of a value, without control characters.

    Raises ValueError for one that is nested too deeply, refers to itself, or grows beyond bounds as its
    aliases are written out: a few lines of YAML can stand for billions of values.
    """
    return _plain(value, DEPTH, [VALUES])


def _plain(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if depth == 0 or left[0] < 0:
        raise ValueError("it is nested too deeply" if depth == 0 else "it holds too many values")
    if isinstance(value, str):
        return CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_plain(each, depth - 1, left) for each in value]
    if isinstance(value, dict):
        return {_key(k): _plain(v, depth - 1, left) for k, v in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(f"a {type(value).__name__} is neither number nor text")


def _key(key: Any) -> Any:
    if isinstance(key, str):
        return CONTROL.sub("\N{REPLACEMENT CHARACTER}", key)
    if key is None or isinstance(key, bool | int | float):
        return key
    raise ValueError(f"a {type(key).__name__} is no key")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return CONTROL.sub(" ", " ".join(str(error).split()))[:300]
