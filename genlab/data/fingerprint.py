"""One checksum of the numbers that a split delivers, so that a score says what it was computed on."""

from __future__ import annotations

import hashlib

from genlab.data.arrays import ArrayData


def fingerprint(data: ArrayData, split: str) -> str:
    """sha256 (hex) over the shape, the values and the labels of a split; redrawn data at epoch 0."""
    dataset = data.dataset(split)
    digest = hashlib.sha256(repr((tuple(dataset.values.shape), data.spec.variant)).encode())
    digest.update(dataset.values.numpy())
    if dataset.label is not None:
        digest.update(dataset.label.numpy())
    return digest.hexdigest()
