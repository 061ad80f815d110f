"""Workers that do not begin, as a fork copies the locks of other threads."""

import multiprocessing
import time
from pathlib import Path

import pytest
import torch

from genlab.contracts import workers
from genlab.data import digits
from genlab.errors import GenlabError


@pytest.fixture
def stuck(tmp_path, monkeypatch):
    """A function: the first n workers that are forked never begin."""
    begun = workers.say_that_it_began

    def first(n: int) -> Path:
        def say() -> None:
            number = len(list(tmp_path.iterdir()))
            (tmp_path / str(number)).touch()
            time.sleep(3600 if number < n else 0)
            begun()

        monkeypatch.setattr(workers, "say_that_it_began", say)
        monkeypatch.setattr(workers, "PATIENCE", 1.0)
        return tmp_path

    return first


def batches(count: int) -> list[torch.Tensor]:
    data = digits()
    data.num_workers = count
    return [batch.x for batch in data.val_dataloader()]


def test_a_worker_that_does_not_begin_is_forked_again(stuck):
    expected, tried = batches(0), stuck(1)
    assert all(map(torch.equal, batches(2), expected))
    assert len(list(tried.iterdir())) == 3
    assert not multiprocessing.active_children()


def test_where_none_begins_it_says_so(stuck):
    tried = stuck(99)
    with pytest.raises(
        GenlabError, match=r"did not begin within 1 s, 3 times: try trainer\.workers=0"
    ):
        batches(1)
    assert len(list(tried.iterdir())) == 3
    assert not multiprocessing.active_children()
