"""Work that two processes share out gives both of them what one would get, and neither does all of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from genlab.likelihood import AnnealedImportance
from genlab.likelihood import annealing as ais
from genlab.likelihood.window import drawn
from genlab.models.boltzmann import RBM
from genlab.models.independent import Independent
from genlab.randomness import generator
from genlab.sampling import draw
from genlab.together import processes, shared_out
from tests.training.small import Bits

DATA = Bits()


class Endless(RBM):
    """One that cannot draw from itself exactly: annealing back starts where annealing forward ended."""

    def path(self, x_train: Tensor, *, generator: torch.Generator) -> ais.AnnealingPath:
        path = super().path(x_train, generator=generator)
        path.end = lambda n, *, generator: None  # type: ignore[method-assign]
        return path


def on_two(work: Callable[[], Any], folder: Path) -> list[Any]:
    """What each of two processes returns of the same work."""
    multiprocessing.start_processes(_one, (work, folder), nprocs=2, start_method="fork")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _one(rank: int, work: Callable[[], Any], folder: Path) -> None:
    place = {"init_method": f"file://{folder / 'meeting'}", "rank": rank, "world_size": 2}
    distributed.init_process_group("gloo", timeout=timedelta(seconds=60), **place)
    torch.save(work(), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def annealed(kind: type[RBM], chains: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(DATA.spec, 3).eval()
        torch.nn.init.normal_(model.machine.weight, std=2.0)
    estimator = AnnealedImportance(model, chains=chains, temperatures=10)
    estimator.prepare(DATA, generator=generator("prepare"))
    return dict(estimator.named_buffers(recurse=False))


def window() -> dict[str, Tensor]:
    return {"x": drawn(Independent(DATA.spec), 200, generator("prepare"))}


def samples() -> dict[str, Tensor]:
    return {"x": draw(Independent(DATA.spec), 300, seed=3, together=True)}


@pytest.mark.parametrize(
    "work",
    [
        partial(annealed, RBM, 10),
        partial(annealed, RBM, ais.BLOCK + 10),
        partial(annealed, Endless, ais.BLOCK + 10),
        window,
        samples,
    ],
    ids=["few chains", "blocks of chains", "no exact draws", "window", "samples"],
)
def test_two_processes_get_what_one_gets(tmp_path, monkeypatch, work):
    monkeypatch.setattr(ais, "SETTLING", 5)
    alone = work()
    for found in on_two(work, tmp_path):
        assert found.keys() == alone.keys()
        assert all(torch.equal(found[name], alone[name]) for name in alone)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_pieces_come_in_order_and_each_is_done_once(tmp_path, n):
    def piece(i: int) -> list[int]:
        return [i, processes()[1]]

    first, second = on_two(partial(shared_out, n, piece), tmp_path)
    assert first == second == [[i, i % 2] for i in range(n)]


def test_each_process_anneals_half_of_the_chains(tmp_path, monkeypatch):
    moved: list[int] = []
    anneal = ais.anneal

    def counted(path: Any, betas: Any, state: Any, generator: Any) -> Any:
        moved.append(len(state[0]))
        return anneal(path, betas, state, generator)

    monkeypatch.setattr(ais, "anneal", counted)

    def work() -> list[int]:
        moved.clear()
        annealed(RBM, 2 * ais.BLOCK)
        return list(moved)

    assert work() == [ais.BLOCK] * 6
    assert on_two(work, tmp_path) == [[ais.BLOCK] * 3] * 2
