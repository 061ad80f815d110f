"""v̂, the variance of x given z_t, with which the steps back are made wider (``reverse``).

"predicted"  that of the distribution over levels which the network predicts (``denoisers``)
"normal"     σ_t², that of standard normal data: the step back has the variance of the step forward
"zero"       0: it has the variance of q(z_s | z_t, x)
"learned"    σ_t² sigmoid(f), with a second output f of the network for each entry: between the two, as
             in Nichol, Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", arXiv
             2102.09672, section 3.1, who interpolate log-variances; v̂ holds for any size of a step
"analytic"   the mean squared error of x̂ at each noise level, over training data and entries: of all
             variances that depend on the level alone, the one with the best bound (Bao, Li, Zhu, Zhang
             2022, "Analytic-DPM", arXiv 2201.06503)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from genlab.contracts import Batch
from genlab.models.diffusion.schedules import spread

NOISE_LEVELS = 65  # noise levels at which the error is measured
ROWS = 2000  # noised data for each of them, at least
TOGETHER = 512  # rows in a call of the network


class Variance(nn.Module, ABC):
    """outputs: how many numbers of the network it takes for each entry."""

    outputs = 0

    @abstractmethod
    def forward(self, z: Tensor, log_snr: Tensor, predicted: Tensor, f: Tensor) -> Tensor:
        """v̂, of a shape to be multiplied with z: (B, *shape); log_snr: (B,) or (). predicted: what the
        prediction says of it. f: (B, *shape, outputs).
        """


class Predicted(Variance):
    def forward(self, z: Tensor, log_snr: Tensor, predicted: Tensor, f: Tensor) -> Tensor:
        return predicted


class Normal(Variance):
    def forward(self, z: Tensor, log_snr: Tensor, predicted: Tensor, f: Tensor) -> Tensor:
        return spread(torch.sigmoid(-log_snr), z)


class Zero(Variance):
    def forward(self, z: Tensor, log_snr: Tensor, predicted: Tensor, f: Tensor) -> Tensor:
        return z.new_zeros(())


class Learned(Variance):
    outputs = 1

    def forward(self, z: Tensor, log_snr: Tensor, predicted: Tensor, f: Tensor) -> Tensor:
        return spread(torch.sigmoid(-log_snr), z) * torch.sigmoid(f.squeeze(-1))


class Analytic(Variance):
    """That of standard normal data until ``fit`` has measured the errors."""

    share: Tensor  # (NOISE_LEVELS,) v̂ / σ², between which it is linear in the log-SNR
    ends: Tensor  # (2,) the highest and lowest log-SNR

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("share", torch.ones(NOISE_LEVELS, dtype=torch.float64))
        self.register_buffer("ends", torch.tensor([1.0, -1.0], dtype=torch.float64))

    def forward(self, z: Tensor, log_snr: Tensor, predicted: Tensor, f: Tensor) -> Tensor:
        return spread(self.at(log_snr), z)

    def at(self, log_snr: Tensor) -> Tensor:
        """v̂: (…) at log-SNRs (…)."""
        high, low = self.ends
        place = ((high - log_snr.double()) / (high - low)).clamp(0, 1) * (NOISE_LEVELS - 1)
        left = place.floor().clamp(max=NOISE_LEVELS - 2).long()
        share = torch.lerp(self.share[left], self.share[left + 1], place - left)
        return share * torch.sigmoid(-log_snr)

    def fit(
        self,
        batches: Iterable[Batch],
        error: Callable[[Batch, Tensor], Tensor],
        ends: tuple[float, float],
    ) -> None:
        """batches: all training data, gone through twice. error: of a batch and log-SNRs (B,), the mean
        squared errors (B,) of x̂ over the entries.
        """
        self.ends.copy_(torch.tensor(ends))
        log_snrs = torch.linspace(*ends, NOISE_LEVELS, dtype=torch.float64, device=self.ends.device)
        visits = -(-NOISE_LEVELS * ROWS // sum(len(batch.x) for batch in batches))
        total, count, done = torch.zeros_like(log_snrs), torch.zeros_like(log_snrs), 0
        for batch in batches:
            for rows in torch.arange(len(batch.x) * visits, device=log_snrs.device).split(TOGETHER):
                level = (done + rows) % NOISE_LEVELS
                squared = error(_rows(batch, rows // visits), log_snrs[level]).double()
                total.index_add_(0, level, squared)
                count.index_add_(0, level, torch.ones_like(squared))
            done += len(batch.x) * visits
        self.share.copy_(total / count / torch.sigmoid(-log_snrs))


def _rows(batch: Batch, rows: Tensor) -> Batch:
    return Batch(batch.x[rows], None if batch.label is None else batch.label[rows])


VARIANCES: dict[str, type[Variance]] = {
    "predicted": Predicted,
    "normal": Normal,
    "zero": Zero,
    "learned": Learned,
    "analytic": Analytic,
}
