"""Randomness is keyed, not restored: every stream is a function of what it is for.

``generator("sample", seed, block)`` is the same in every process, today and after a crash, so nothing
random needs to be saved, and results do not depend on how the work was divided.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def key(*parts: str | int) -> int:
    """A 63-bit seed for this purpose, equal on every machine and for every kind of integer."""
    plain = tuple(str(p) if isinstance(p, str) else operator.index(p) for p in parts)
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*parts: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator of the stream named by these parts (strings and integers)."""
    return torch.Generator(device=device).manual_seed(key(*parts))


def fork(source: torch.Generator, n: int) -> list[torch.Generator]:
    """n generators with streams of their own, named by the next numbers of ``source``."""
    seeds = torch.randint(2**62, (n,), generator=source, device=source.device).tolist()
    return [generator("fork", seed, device=source.device) for seed in seeds]


def randn_like(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """``torch.randn_like`` from this generator; None is torch's default one."""
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def reseed(*parts: str | int) -> None:
    """Put the default generators (CPU, and CUDA where it is in use) at the start of a stream."""
    seed = key(*parts)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def scope(*parts: str | int) -> Iterator[None]:
    """Run a block on the default stream of this name and leave the outer stream as it was."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        reseed(*parts)
        yield
