"""GMMN+AE: codes of a trained auto-encoder are matched, and its decoder makes data of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.contracts import (
    Batch,
    DataSpec,
    Figure,
    GenerativeModel,
    HasEncoder,
    Stage,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.moment_matching import pictures
from genlab.models.moment_matching.model import MomentMatching
from genlab.models.moment_matching.weights import PriorWeights
from genlab.nn.mmd import GaussianKernel, Kernel
from genlab.ranges import one_or_more

VARIANCES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of codes in [0, 1]
STEPS = 3000  # of each of the auto-encoder's stages, as in the paper


class Autoencoder(nn.Module):
    """Sigmoid layers of the given widths, the last of which is the code, and the same way back.

    dropout: on the input of each encoder layer. The last decoder layer gives θ, whose sigmoid is the datum.
    """

    def __init__(self, size: int, widths: tuple[int, ...], dropout: tuple[float, ...]) -> None:
        super().__init__()
        sizes = list(zip((size, *widths), widths, strict=False))
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Dropout(p), nn.Linear(below, above), nn.Sigmoid())
            for p, (below, above) in zip(dropout, sizes, strict=True)
        )
        self.decoder = nn.ModuleList(nn.Linear(above, below) for below, above in reversed(sizes))

    def up(self, x: Tensor, layers: int | None = None) -> Tensor:
        """(B, D) to codes, or to the units of the first ``layers`` layers."""
        for layer in self.encoder[:layers]:
            x = layer(x)
        return x

    def down(self, h: Tensor) -> Tensor:
        """Codes to (B, D) logits."""
        for layer in self.decoder[:-1]:
            h = layer(h).sigmoid()
        return self.decoder[-1](h)

    def pair(self, i: int) -> nn.ModuleList:
        """Layer i of the encoder, and the layer of the decoder that undoes it."""
        return nn.ModuleList([self.encoder[i], self.decoder[-1 - i]])


class _CodeSpace(MomentMatching, HasEncoder):
    """The code is that of an auto-encoder, which is trained first and then left alone."""

    def __init__(
        self,
        spec: DataSpec,
        noise: int,
        hidden: tuple[int, ...],
        encoder: tuple[int, ...],
        dropout: tuple[float, ...],
        kernel: Kernel | None,
        unbiased: bool,
        root: bool,
    ) -> None:
        one_or_more(1, encoder=encoder)
        if len(dropout) != len(encoder) or not all(0 <= p < 1 for p in dropout):
            raise UsageError(
                f"dropout={list(dropout)} must be a number in [0, 1) for each of the "
                f"{len(encoder)} layers of encoder={list(encoder)}"
            )
        kernel = kernel or GaussianKernel(VARIANCES)
        super().__init__(spec, noise, hidden, kernel, unbiased, root, code=encoder[-1])
        self.autoencoder = Autoencoder(spec.size, encoder, dropout)

    def stages(self) -> Sequence[Stage]:
        """pretrain1, pretrain2, … (one for each layer of the encoder), finetune, match."""
        layers = [
            Stage(
                f"pretrain{i + 1}",
                self.autoencoder.pair(i),
                partial(self.layer_loss, i),
                validate=partial(self.layer_errors, i),
                max_steps=STEPS,
                about=f"cross-entropy of layer {i + 1}'s reconstruction",
            )
            for i in range(len(self.autoencoder.encoder))
        ]
        finetune = Stage(
            "finetune",
            self.autoencoder,
            self.reconstruction_loss,
            validate=self.reconstruction_errors,
            max_steps=STEPS,
            about="cross-entropy of the reconstruction",
        )
        return (*layers, finetune, self.matching())

    # ----------------------------------------------------------------------------------- auto-encoder

    def layer_loss(self, i: int, batch: Batch) -> Tensor:
        """Mean cross-entropy (nats a datum) of layer i's reconstruction of what the layers below make."""
        return self.layer_errors(i, batch)["cross_entropy"].mean()

    def layer_errors(self, i: int, batch: Batch) -> dict[str, Tensor]:
        """cross_entropy: (B,) nats of each datum."""
        with torch.no_grad():
            below = self.autoencoder.up(batch.x.flatten(1), i)
        up, down = self.autoencoder.pair(i)
        return {"cross_entropy": cross_entropy(down(up(below)), below)}

    def reconstruction_loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy (nats a datum) between data and their reconstructions."""
        x = batch.x.flatten(1)
        return cross_entropy(self.autoencoder.down(self.autoencoder.up(x)), x).mean()

    def reconstruction_errors(self, batch: Batch) -> dict[str, Tensor]:
        """cross_entropy: (B,) nats; squared_error: (B,) ‖x − reconstruction‖²."""
        x = batch.x.flatten(1)
        theta = self.autoencoder.down(self.autoencoder.up(x))
        squared_error = (self.output.mean(theta) - x).square().sum(1)
        return {"cross_entropy": cross_entropy(theta, x), "squared_error": squared_error}

    def encode(self, x: Tensor) -> Tensor:
        """(B, code) in [0, 1] of x: (B, *shape)."""
        return self.autoencoder.up(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """(B, *shape) greys, or probabilities of bits, of codes z: (B, code)."""
        return self.output.mean(self._theta(z))

    # --------------------------------------------------------------------------------------- matching

    def _theta(self, codes: Tensor) -> Tensor:
        return self.autoencoder.down(codes).unflatten(1, self.spec.shape)

    def theta_of(self, z: Tensor) -> Tensor:
        return self._theta(self.codes(z))

    def codes(self, z: Tensor) -> Tensor:
        return self.generator(z).float().sigmoid()

    @torch.no_grad()
    def codes_of(self, x: Tensor) -> Tensor:
        return self.encode(x)

    def start(self, codes: Tensor) -> Tensor:
        return ((codes.sum(0) + 0.5) / (len(codes) + 1)).logit()

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        yield from super().figures(batch, generator=generator)
        yield from pictures.of_codes(self, batch)


class GMMNAutoencoder(_CodeSpace):
    """Data are a function of noise: there is no likelihood of its own."""

    supports = frozenset({Support.LEVELS})


class BernoulliGMMNAutoencoder(_CodeSpace, PriorWeights):
    """Bits are independent given the noise."""

    supports = frozenset({Support.BINARY})


def gmmn_ae(
    spec: DataSpec,
    noise: int = 10,
    hidden: tuple[int, ...] = (64, 256, 256, 1024),
    encoder: tuple[int, ...] = (1024, 32),
    dropout: tuple[float, ...] = (0.2, 0.5),
    kernel: Kernel | None = None,
    unbiased: bool = False,
    root: bool = True,
) -> GenerativeModel:
    """Moment matching in the code space of an auto-encoder (Li, Swersky, Zemel 2015, section 4).

    encoder: widths of its sigmoid layers, the last is the code. dropout: on the input of each. kernel:
    None is a sum of Gaussians of variances 0.25 … 8. The others are those of ``gmmn``.
    Raises UsageError for options out of range, UnsupportedData for REAL data.
    """
    if spec.support is Support.REAL:
        raise UnsupportedData(f"GMMN+AE takes BINARY or LEVELS data; {spec.name} is REAL")
    made = BernoulliGMMNAutoencoder if spec.support is Support.BINARY else GMMNAutoencoder
    return made(spec, noise, hidden, encoder, dropout, kernel, unbiased, root)


def cross_entropy(theta: Tensor, x: Tensor) -> Tensor:
    """(B,) Σ_d −x log σ(θ) − (1 − x) log(1 − σ(θ)) in nats, of θ: (B, D) and x: (B, D) in [0, 1]."""
    theta = theta.float()
    return F.binary_cross_entropy_with_logits(theta, x.float(), reduction="none").sum(1)
