"""What moment matching models share, and the GMMN. Mathematics: the package."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from genlab.contracts import (
    Batch,
    DataSpec,
    Figure,
    GenerativeModel,
    HasFigures,
    Stage,
    Support,
    UsageError,
)
from genlab.models.moment_matching import pictures
from genlab.models.moment_matching.outputs import output_for
from genlab.models.moment_matching.weights import PriorWeights
from genlab.nn.initialisation import initialise
from genlab.nn.mlp import MLP
from genlab.nn.mmd import MMD, GaussianKernel, Kernel, mmd2_of_each
from genlab.ranges import at_least

WIDTHS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # on MNIST nearly the paper's 2, 5, 10, 20, 40, 80

VALIDATION = 1000  # samples that each validation batch is compared with


class MomentMatching(GenerativeModel, HasFigures):
    """A generator from noise to codes, which are matched to codes of data.

    noise: how many uniform variables on [−1, 1] there are. hidden: widths of the generator's layers.
    kernel, unbiased, root: of the loss, see ``genlab.nn.mmd.MMD``.
    """

    def __init__(
        self,
        spec: DataSpec,
        noise: int,
        hidden: tuple[int, ...],
        kernel: Kernel,
        unbiased: bool,
        root: bool,
        code: int,
    ) -> None:
        """code: numbers in a code."""
        super().__init__(spec)
        at_least(1, noise=noise, hidden=hidden)
        self.noise = noise
        self.output = output_for(spec)
        self.generator = MLP(noise, hidden, code)
        self.mmd = MMD(kernel, unbiased, root)
        initialise(self.generator, "he")
        for layer in self.generator:
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    # ---------------------------------------------------------------------------------- noise to data

    def draw_noise(self, n: int, generator: Generator | None = None) -> Tensor:
        """(n, noise), from the default generator where none is given."""
        return torch.rand(n, self.noise, generator=generator, device=self.device) * 2 - 1

    @abstractmethod
    def theta_of(self, z: Tensor) -> Tensor:
        """(n, *shape) θ of the data that noise z: (n, noise) makes."""

    def theta(self, n: int, generator: Generator) -> Tensor:
        return self.theta_of(self.draw_noise(n, generator))

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        self.refuse_label(label)
        return self.output.draw(self.theta(n, generator), generator)

    # --------------------------------------------------------------------------------------- matching

    @abstractmethod
    def codes(self, z: Tensor) -> Tensor:
        """(n, code) of noise z: (n, noise), as they are matched: differentiable in training."""

    @abstractmethod
    def codes_of(self, x: Tensor) -> Tensor:
        """(B, code) of data x: (B, *shape), without a gradient."""

    def matching(self) -> Stage:
        """The stage in which the generator is trained."""
        return Stage(
            "match",
            self.generator,
            self.loss,
            validate=self.discrepancy,
            begin=self.begin,
            about="maximum mean discrepancy",
        )

    def begin(self, batch: Batch) -> None:
        """Start where the data are: their distances give the kernel its unit, their mean the output biases.

        Far from all data a narrow kernel has no slope.
        """
        last = self.generator[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            codes = self.codes_of(batch.x)
            self.mmd.kernel.begin(codes)
            last.bias.copy_(self.start(codes))

    @abstractmethod
    def start(self, codes: Tensor) -> Tensor:
        """(code,): output biases of the generator, from codes: (N, code) of data."""

    def loss(self, batch: Batch) -> Tensor:
        """√MMD² or MMD² between the codes of a batch and as many of the generator, over all processes."""
        return self.mmd(self.codes(self.draw_noise(len(batch.x))), self.codes_of(batch.x))

    def discrepancy(self, batch: Batch) -> dict[str, Tensor]:
        """mmd2: (B,), whose mean is the unbiased MMD² between the batch and codes of the generator.

        Unlike the loss it has the right expectation whatever the batch, on data that were not trained on:
        so a mean over batches estimates the distance of the distributions, and may fall below zero. Each
        batch meets the same noise at every validation: two of them differ by what was learned.
        A datum alone, left over at the end of a set, makes no pair and is left out.
        """
        if len(batch.x) == 1:
            return {}
        codes = self.codes(self.draw_noise(VALIDATION))
        return {"mmd2": mmd2_of_each(codes, self.codes_of(batch.x), self.mmd.kernel)}

    def on_fit_start(self) -> None:
        """Refuse batches of one datum, all of validation or any of training, before a stage is trained."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        world = self.trainer.world_size
        if data.batch_size == 1:
            require_pairs(len(data.dataset("val")), world, data.batch_size, "validation")
        if self.mmd.unbiased and world == 1:  # several processes match their data together
            require_pairs(len(data.dataset("train")), world, data.batch_size, "training")

    # --------------------------------------------------------------------------------------- figures

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        yield from pictures.of_noise(self, generator)


def require_pairs(n: int, world: int, batch_size: int, split: str) -> None:
    """Raise UsageError where a batch of n data, shared among processes, holds one datum."""
    own = [len(range(rank, n, world)) for rank in range(world)]
    if any(rows and (batch_size == 1 or rows % batch_size == 1) for rows in own):
        raise UsageError(
            f"data.batch_size={batch_size} makes a batch of 1 of the {n} {split} data, and the unbiased "
            "MMD² needs at least 2 in each: choose another data.batch_size"
        )


class _DataSpace(MomentMatching):
    """The code is the datum."""

    def __init__(
        self,
        spec: DataSpec,
        noise: int,
        hidden: tuple[int, ...],
        kernel: Kernel | None,
        unbiased: bool,
        root: bool,
    ) -> None:
        kernel = kernel or GaussianKernel(WIDTHS, relative=True)
        super().__init__(spec, noise, hidden, kernel, unbiased, root, code=spec.size)

    def stages(self) -> Sequence[Stage]:
        return (self.matching(),)

    def theta_of(self, z: Tensor) -> Tensor:
        return self.generator(z).unflatten(1, self.spec.shape)

    def codes(self, z: Tensor) -> Tensor:
        return self.output.matched(self.generator(z))

    def codes_of(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def start(self, codes: Tensor) -> Tensor:
        return self.output.marginal(codes)


class GMMN(_DataSpace):
    """Data are a function of noise: there is no likelihood of its own."""

    supports = frozenset({Support.LEVELS, Support.REAL})


class BernoulliGMMN(_DataSpace, PriorWeights):
    """Bits are independent given the noise."""

    supports = frozenset({Support.BINARY})


def gmmn(
    spec: DataSpec,
    noise: int = 10,
    hidden: tuple[int, ...] = (64, 256, 256, 1024),
    kernel: Kernel | None = None,
    unbiased: bool = False,
    root: bool = True,
) -> GenerativeModel:
    """A generative moment matching network (Li, Swersky, Zemel 2015), after the support of the data.

    noise: uniform variables on [−1, 1]. hidden: widths of the generator's layers. kernel: None is a sum of
    Gaussians whose variances are multiples of the median squared distance between data. unbiased: train on
    the unbiased statistic. root: train on √MMD² rather than MMD².
    Raises UsageError for options out of range.
    """
    made = BernoulliGMMN if spec.support is Support.BINARY else GMMN
    return made(spec, noise, hidden, kernel, unbiased, root)
