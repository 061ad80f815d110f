"""Tests run on one thread: two spinning threads beside a busy process make small models crawl."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import torch

import genlab  # noqa: F401  (sets OMP_WAIT_POLICY before torch is imported)

torch.set_num_threads(1)
