"""So many cases of one kind, and everything that went wrong in them."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.outcome import Hang
from tests.fuzz.place import Place
from tests.fuzz.targets import Case


def fuzz(case: Case, place: Place, cases: int, number: int = 0) -> tuple[int, Counter[str]]:
    """How many were run, and how often each thing was wrong; the same cases for the same seed number."""
    count, wrong = 0, Counter[str]()

    @seed(number)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        nonlocal count
        try:
            case(data, place)
        except (Exception, Hang) as error:
            if type(error).__module__.startswith("hypothesis"):  # its own way to drop a case
                raise
            text = f"{type(error).__name__}: {error}".replace(str(place.root), "")
            wrong[re.sub(r"case-\w+|\d{3,}", "…", " ".join(text.split()))[:900]] += 1
        count += 1  # a case that Hypothesis has dropped half way is none

    one()
    return count, wrong
