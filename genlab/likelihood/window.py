"""The likelihood of the smoothed model: a kernel density of its samples.

p(x) = 1/n Σ_i p(x | s_i) for n samples s_i of the model, with a kernel that follows the support and a
width chosen on validation data. It needs nothing of a model but samples, and promises nothing about
log p(x): in expectation it is at most the log-likelihood of the *smoothed* model, which may lie on
either side of the model's own, by nats on 16 bits already and by hundreds on images.

L. Theis, A. van den Oord, M. Bethge: A note on the evaluation of generative models. ICLR 2016,
https://arxiv.org/abs/1511.01844
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from genlab.contracts import (
    DataModule,
    GenerativeModel,
    GenlabError,
    Guarantee,
    Likelihood,
    LogLikelihood,
    Measure,
    UsageError,
)
from genlab.likelihood.bandwidth import (
    checked_widths,
    choose_width,
    default_widths,
    validation_rows,
)
from genlab.likelihood.kernels import Kernel, kernel_for
from genlab.likelihood.needs import require
from genlab.memory import rows_at_once
from genlab.ranges import at_least
from genlab.sampling import draw


class KernelWindow(Likelihood):
    """A kernel density of n samples of the model, after the support: see ``genlab.likelihood.kernels``.

    widths: the grid that the kernel's width is chosen from: ε, the probability that a bit flips, on
    BINARY data, σ of greys in [0, 1] on LEVELS and of standardised data on REAL; by default a geometric
    grid. rows: at most how many validation data choose it. A width at an edge of the grid is an error.
    """

    name = "window"
    samples: Tensor  # (n, *shape)
    width: Tensor  # ()

    def __init__(
        self,
        model: GenerativeModel,
        n: int = 10_000,
        widths: tuple[float, ...] | None = None,
        rows: int = 1000,
    ) -> None:
        require(self.name, model)
        super().__init__(model)
        support = model.spec.support
        self.widths = checked_widths(default_widths(support) if widths is None else widths, support)
        at_least(1, n=n, rows=rows)
        self.n, self.rows = n, rows
        self._made: tuple[Tensor, Kernel] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {"n": self.n, "widths": list(self.widths), "rows": self.rows}

    def prepare(self, data: DataModule, *, generator: Generator) -> None:
        x = validation_rows(data, self.rows, self.name).to(generator.device)
        samples = drawn(self.model, self.n, generator)
        self.register_buffer("samples", samples)
        width = choose_width(self._kernel, x.flatten(1), self.widths, "samples")
        self.register_buffer("width", torch.tensor(width, dtype=torch.float64))

    @property
    def _kernel(self) -> Kernel:
        """Around the samples of the buffer, which another process may have drawn; made once."""
        if self._made is None or self._made[0] is not self.samples:
            self._made = self.samples, kernel_for(self.model.spec, self.samples)
        return self._made[1]

    def forward(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """Raises UsageError for labels: the samples are of the marginal distribution."""
        refuse_label(self.name, label)
        width = float(self.width)
        return LogLikelihood(
            self._kernel.log_mixture(x.flatten(1), [width])[0],
            Guarantee.ESTIMATE,
            Measure.of(self.model.spec),
            method=f"kernel window of n={self.n} samples, width {width:g}",
            diagnostics={"n": self.n, "width": width, "grid": list(self.widths)},
        )


def drawn(model: GenerativeModel, n: int, generator: Generator) -> Tensor:
    """(n, *shape) samples, keyed by the generator's next number.

    Raises UsageError where so many do not fit into memory, GenlabError where one is outside the support.
    """
    copies = (
        4 * 4 * model.spec.size * n
    )  # bytes: blocks, the whole, centred and squared, in float32
    rows_at_once(1, copies, model.device, what=f"set of {n} samples", lower="likelihood.n")
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    samples = draw(model, n, seed=int(seed), together=True)
    if not model.spec.contains(samples):
        raise GenlabError(
            f"some of {n} samples are outside {model.spec.support.name} data {model.spec.shape}, or "
            "not finite: no window can be put around them"
        )
    return samples


def refuse_label(name: str, label: Tensor | None) -> None:
    if label is not None:
        raise UsageError(f"likelihood={name} is of samples without a label: leave label out")
