"""Data sets: a **source** of arrays and a **preprocess** that says what support it makes of them.

| file | says |
|---|---|
| ``sets`` | one function per data set, which is what a YAML file in ``configs/data`` names |
| ``arrays`` | ``ArrayData``, the data module: a source, a preprocess, arrays in memory |
| ``source`` | what a source owes: a name, a shape, arrays of each split |
| ``images``, ``omniglot``, ``silhouettes``, ``cifar``, ``tables``, ``toys``, ``heartbeat`` | the sources |
| ``own``, ``folder`` | a person's own arrays and pictures |
| ``shards``, ``shard_index``, ``shard_files``, ``mapped`` | data beyond memory: a folder, its files, rows |
| ``sharding``, ``column_writer`` | writing such a folder |
| ``permutation`` | a shuffle without a list |
| ``pictures`` | one picture of a file as an array |
| ``preprocess`` | ``Threshold``, ``Bernoulli``, ``AsIs``, ``Levels``, ``Standardise`` |
| ``files``, ``readers`` | finding and verifying files; idx, packed .npz and text |
| ``matlab`` | numeric arrays of a MATLAB 5 file |
| ``fetch`` | getting them from their public source, when asked to |
| ``check`` | which files a set needs, and whether they are here |
| ``fingerprint`` | one checksum of the numbers a split delivers |
"""

from genlab.data.arrays import ArrayData, ArrayDataset
from genlab.data.check import (
    FileStatus,
    SetStatus,
    State,
    built_in_sets,
    set_status,
    shards_status,
)
from genlab.data.fetch import fetch
from genlab.data.fingerprint import fingerprint
from genlab.data.preprocess import AsIs, Bernoulli, Levels, Preprocess, Standardise, Threshold
from genlab.data.sets import (
    binarized_mnist,
    caltech_silhouettes,
    cifar10,
    cifar10_subset,
    debd,
    digits,
    fashion_mnist,
    heartbeat,
    image_folder,
    mnist,
    nade_uci,
    npz,
    omniglot,
    toy2d,
)
from genlab.data.sharding import write_shards
from genlab.data.shards import Shards
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
    "Shards",
    "Source",
    "Standardise",
    "State",
    "Threshold",
    "binarized_mnist",
    "built_in_sets",
    "caltech_silhouettes",
    "cifar10",
    "cifar10_subset",
    "debd",
    "digits",
    "fashion_mnist",
    "fetch",
    "fingerprint",
    "heartbeat",
    "image_folder",
    "mnist",
    "nade_uci",
    "npz",
    "omniglot",
    "set_status",
    "shards_status",
    "toy2d",
    "write_shards",
]
