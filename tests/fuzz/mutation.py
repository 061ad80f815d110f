"""Bytes and values that are nearly right."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from tests.fuzz.canary import PYTHON_TAGS, TARGETS, pickles

ODD = [
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**70,
    1e308,
    -0.5,
    "",
    "a",
    "..",
    "../../x",
    "/etc/passwd",
    "\x00",
    "\x1b[31m",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "${oc.env:HOME}",
    "${a}",
    "é" * 50,
    [],
    {},
    [[]],
    {"a": 1},
    *TARGETS,
]
odd = st.sampled_from(ODD)


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Valid bytes with a few changed, cut, repeated, put in or exchanged for others."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        near = min(
            at, draw(st.sampled_from([32, 200, len(content)]))
        )  # headers lie at the beginning
        kind = draw(st.sampled_from(["flip", "set", "cut", "drop", "insert", "repeat", "number"]))
        if kind == "flip" and content:
            content[near % len(content)] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set" and content:
            content[near % len(content)] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[near : near + draw(st.integers(1, 16))]
        elif kind == "insert":
            content[near:near] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "repeat":
            content[near:near] = content[near : near + 32] * draw(st.integers(1, 50))
        else:
            content[near : near + 4] = draw(
                st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
            )
    return bytes(content)


def bytes_like(whole: bytes) -> st.SearchStrategy[bytes]:
    """Mostly nearly right, now and then nothing of the kind, or a pickle that would run code."""
    others = st.one_of(st.binary(max_size=200), st.sampled_from(pickles()))
    return st.one_of(mutated(whole), mutated(whole), mutated(whole), others)


@st.composite
def edited(draw: st.DrawFn, value: Any) -> Any:
    """A copy of a JSON value, or of what a checkpoint holds, of which something is another, gone, or under
    another name.
    """
    if draw(st.integers(0, 19)) == 0:
        return draw(odd)
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value, key=str)))
        kind = draw(st.sampled_from(["inside", "inside", "inside", "odd", "drop", "rename"]))
        rest = {k: v for k, v in value.items() if k != key}
        if kind == "inside":
            return {**value, key: draw(edited(value[key]))}
        if kind == "odd":
            return {**value, key: draw(odd)}
        return (
            rest
            if kind == "drop"
            else {**rest, draw(st.sampled_from(["x", "_target_", ""])): value[key]}
        )
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(edited(value[at])), *value[at + 1 :]]
    if isinstance(value, torch.Tensor):
        return draw(st.one_of(odd, st.sampled_from([torch.zeros(3), value[None], value / 0])))
    return draw(odd)


def text_like(whole: str) -> st.SearchStrategy[str]:
    """YAML that is nearly right, with tags that would run code."""
    flawed = mutated(whole.encode()).map(lambda b: b.decode(errors="replace"))
    return st.one_of(
        flawed, st.sampled_from(PYTHON_TAGS), st.sampled_from(PYTHON_TAGS).map(lambda t: whole + t)
    )
