"""Tests run on one thread and without a network; what ``datasets`` converts goes to a folder of theirs."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def numbers() -> dict[str, np.ndarray]:
    """200 rows of two real columns, bits, levels and a label."""
    stream = np.random.Generator(np.random.PCG64(0))
    return {
        "a": stream.normal(3, 2, 200),
        "b": stream.normal(-1, 0.1, 200).astype(np.float32),
        "bit": stream.integers(0, 2, 200),
        "level": stream.integers(0, 17, 200),
        "truth": stream.random(200) < 0.3,
        "kind": stream.integers(0, 4, 200),
        "name": np.array(["x"] * 200),
    }


@pytest.fixture
def table(tmp_path, numbers) -> str:
    """A parquet file of the numbers, in row groups of 9."""
    Dataset.from_dict(numbers).to_parquet(tmp_path / "table.parquet", batch_size=9)
    return str(tmp_path / "table.parquet")
