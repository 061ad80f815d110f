"""Data sets: a **source** of arrays and a **preprocess** that says what support it makes of them.

| file | says |
|---|---|
| ``sets`` | one function per data set, which is what a YAML file in ``configs/data`` names |
| ``arrays`` | ``ArrayData``, the data module: a source, a preprocess, arrays in memory |
| ``source`` | what a source owes: a name, a shape, arrays of each split |
| ``images``, ``tables``, ``toys``, ``heartbeat``, ``own`` | the sources |
| ``preprocess`` | ``Threshold``, ``Bernoulli``, ``AsIs``, ``Levels``, ``Standardise`` |
| ``files``, ``readers`` | finding and verifying files; idx, packed .npz and text |
| ``check`` | which files a set needs, and whether they are here |
| ``fingerprint`` | one checksum of the numbers a split delivers |
"""

from genlab.data.arrays import ArrayData, ArrayDataset
from genlab.data.check import FileStatus, SetStatus, State, built_in_sets, set_status
from genlab.data.fingerprint import fingerprint
from genlab.data.preprocess import AsIs, Bernoulli, Levels, Preprocess, Standardise, Threshold
from genlab.data.sets import (
    binarized_mnist,
    debd,
    digits,
    fashion_mnist,
    heartbeat,
    mnist,
    nade_uci,
    npz,
    toy2d,
)
from genlab.data.source import Arrays, Source

__all__ = [
    "ArrayData",
    "ArrayDataset",
    "Arrays",
    "AsIs",
    "Bernoulli",
    "FileStatus",
    "Levels",
    "Preprocess",
    "SetStatus",
    "Source",
    "Standardise",
    "State",
    "Threshold",
    "binarized_mnist",
    "built_in_sets",
    "debd",
    "digits",
    "fashion_mnist",
    "fingerprint",
    "heartbeat",
    "mnist",
    "nade_uci",
    "npz",
    "set_status",
    "toy2d",
]
