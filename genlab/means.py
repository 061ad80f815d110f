"""What may be said of the mean of per-datum values."""

from __future__ import annotations

import numpy as np


def standard_error(values: np.ndarray) -> float | None:
    """sd / √n; None for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def not_finite(values: np.ndarray) -> str | None:
    """Why a mean of these values cannot be given; None where it can."""
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return None
    return f"{len(bad)} of {len(values)} values are not finite, the first is row {bad[0]}"
