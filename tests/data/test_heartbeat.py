import math

import pytest
import torch

from genlab.contracts import Support, UsageError
from genlab.data import heartbeat


def test_beats_come_every_five_steps_from_five_phases():
    data = heartbeat()
    assert (data.spec.shape, data.spec.support, data.spec.classes) == ((20,), Support.BINARY, 5)
    for split, n in (("train", 10_000), ("val", 2000), ("test", 2000)):
        x, label, _ = data.dataset(split)[torch.arange(n)]
        assert label is not None
        beats = x.view(n, 4, 5)
        assert (beats == torch.nn.functional.one_hot(label, 5)[:, None]).all()


def test_phases_are_equally_likely():
    """The empirical entropy is log 5, less (5 - 1) / 2n nats on average."""
    label = heartbeat().dataset("train").label
    assert label is not None
    p = label.bincount(minlength=5) / len(label)
    assert -(p * p.log()).sum().item() == pytest.approx(math.log(5), abs=1e-3)


def test_sequences_are_keyed_by_seed_and_split():
    values = heartbeat().dataset("train").values
    assert (heartbeat().dataset("train").values == values).all()
    assert not torch.equal(heartbeat(seed=1).dataset("train").values, values)
    assert not torch.equal(heartbeat().dataset("val").values, heartbeat().dataset("test").values)


def test_too_few_are_a_usage_error():
    with pytest.raises(UsageError, match="n=9 "):
        heartbeat(n=9)
