"""Fourier features: one number as sines and cosines of many frequencies.

A network sees smooth and fine changes of a scalar alike when it is given
[sin ω_1 u, …, sin ω_n u, cos ω_1 u, …, cos ω_n u] with ω geometric between a low and a high frequency
(Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency Functions", arXiv 2006.10739).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LabelEmbedding(nn.Embedding):
    """label: (B,) of ``classes``, or None for an unknown one, to (n, width); zero at initialisation, so
    that labels say nothing at first.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__(classes + 1, width)
        self.classes = classes
        nn.init.zeros_(self.weight)

    def of(self, label: Tensor | None, n: int) -> Tensor:
        """A label of ``classes`` itself is an unknown one."""
        if label is None:
            label = torch.full((n,), self.classes, device=self.weight.device)
        return self(label)


class FourierFeatures(nn.Module):
    """u: (B,) to (B, 2n). The default frequencies (radians) suit a log-SNR between -20 and 20."""

    frequencies: Tensor

    def __init__(self, n: int = 16, lowest: float = 0.1, highest: float = 3.0) -> None:
        super().__init__()
        self.features = 2 * n
        self.register_buffer(
            "frequencies", torch.logspace(0, 1, n, base=highest / lowest) * lowest, persistent=False
        )

    def forward(self, u: Tensor) -> Tensor:
        phase = u.unsqueeze(-1) * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], dim=-1)
