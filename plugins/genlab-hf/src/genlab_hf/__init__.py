"""Data of Hugging Face ``datasets`` for genlab: files of your own and names on the hub, larger than memory.

A data set is a table of columns, and any row can be had at any time: from Arrow files that are mapped into
memory, of which the operating system forgets again what has been read, or from parquet files that are read
where they lie, row group by row group. So the order of an epoch, the share of each process and the place
where a resumed run goes on are functions of (seed, epoch) and a position.

| file | says |
|---|---|
| ``loading`` | a path or a name as tables, one for each split |
| ``table`` | rows that can be had by their numbers; mapped files |
| ``stream``, ``groups`` | parquet files where they lie; their row groups, and those in memory |
| ``splits`` | which rows are for training, validation and test |
| ``content`` | what columns hold: the shape of a datum, and how rows become data |
| ``pictures``, ``numbers`` | a column of images; columns of numbers |
| ``labels`` | a column of labels |
| ``rows`` | a split, read batch by batch |
| ``data`` | the data module that a configuration names |

Quentin Lhoest et al.: Datasets: A Community Library for Natural Language Processing. EMNLP 2021,
https://arxiv.org/abs/2109.02846
"""

from genlab_hf.data import HuggingFaceData

__all__ = ["HuggingFaceData"]
