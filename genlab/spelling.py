"""The end of an error message about an unknown name: what was meant, or what there is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def suggest(word: str, known: Sequence[str]) -> str:
    """A did-you-mean, or the list of what there is.

    >>> suggest("modl", ["model", "data"])
    "; did you mean 'model'?"
    """
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is {', '.join(known)}" if known else "; it takes none"
