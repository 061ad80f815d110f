"""Data of Hugging Face ``datasets`` for genlab: files of your own and names on the hub, larger than memory.

A data set is a table of columns in Arrow files that are mapped into memory: a row is read from disk when it
is asked for, and what has been read may be forgotten again by the operating system. So the order of an
epoch, the share of each process and the place where a resumed run goes on are genlab's own, functions of
(seed, epoch) and a position; any row can be had at any time.

| file | says |
|---|---|
| ``loading`` | a path or a name as the splits of ``datasets`` |
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
