"""A sum-product network with a random structure, all regions of a level in one tensor operation.

Region r of level l has K distributions in a vector v_r(x), in nats. A leaf region's are products of
leaves over its entries d, log p_rk = Σ_d <T(x_d), η_rdk>. Any other region has two halves a and b, and
the vector of sums over all products of one distribution of each,

    v_rk = log Σ_ij w_rijk exp(v_ai + v_bj)
         = A + B + log Σ_ij w_rijk exp(v_ai - A) exp(v_bj - B)

with Σ_ij w_rijk = 1 and A, B the greatest of v_a and v_b: one batched matrix product, of numbers that do
not overflow. The root is the mixture of the R repetitions.

Robert Peharz et al.: Random sum-product networks (RAT-SPNs). UAI 2019, arXiv 1806.01910. The layer, and
EM by automatic differentiation: Peharz et al., Einsum networks, ICML 2020, arXiv 2004.06231.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor, distributed, nn

from genlab.contracts import Batch, DataSpec, Observed, Stage, UsageError
from genlab.nn.precision import full_precision
from genlab_spn.families import Choice, Family, leaf_family
from genlab_spn.network import SumProductNetwork, everything, known, require_positive
from genlab_spn.regions import random_regions


class RandomSPN(SumProductNetwork):
    """Random tensorised sum-product network (Peharz et al. 2019).

    depth: how often regions are halved; None is four, or what leaves regions of at least four entries.
    repetitions: random structures that are mixed. sums, leaves: distributions of each inner and of each
    leaf region. structure_seed: which random structures. training: by "gradient" (the run's optimizer)
    or by "em". em_step: in (0, 1], how far a minibatch moves what EM estimates; 1 is EM itself where a
    batch is all data. variance_floor: below the variance of every Gaussian leaf, on standardised data.
    """

    members: Tensor

    def __init__(
        self,
        spec: DataSpec,
        depth: int | None = None,
        repetitions: int = 10,
        sums: int = 10,
        leaves: int = 10,
        structure_seed: int = 0,
        training: Literal["gradient", "em"] = "gradient",
        em_step: float = 0.1,
        variance_floor: float = 1e-3,
    ) -> None:
        super().__init__(spec)
        require_positive(
            repetitions=repetitions, sums=sums, leaves=leaves, variance_floor=variance_floor
        )
        if not 0 < em_step <= 1:
            raise UsageError(f"model.em_step={em_step:g} must be greater than 0 and at most 1")
        self.depth = _depth(spec.size, depth)
        self.repetitions, self.training_by, self.em_step = repetitions, training, em_step
        regions = random_regions(spec.size, self.depth, repetitions, structure_seed)
        self.register_buffer("members", regions)  # (R · 2^Δ, S); D where there is none
        leaf = leaf_family(spec, variance_floor)
        self.families: list[Family] = [leaf]
        self.theta = nn.ParameterList([leaf.initial(*regions.shape, leaf.params, leaves)])
        below = leaves
        for level in reversed(range(self.depth)):
            width = sums if level else 1
            self._add_choice(repetitions * 2**level, below**2, width)
            below = width
        self._add_choice(1, repetitions * below, 1)

    def _add_choice(self, regions: int, values: int, width: int) -> None:
        """Sums of ``width`` distributions in each of these regions, over so many children."""
        family = Choice(values)
        self.families.append(family)
        self.theta.append(family.initial(regions, values, width))

    # ------------------------------------------------------------------------------------- training

    def stages(self) -> Sequence[Stage]:
        if self.training_by == "gradient":
            return (Stage("fit", self, self.loss, lr_schedule="cosine", patience=20),)
        descent = partial(torch.optim.SGD, lr=1.0)
        return (Stage("em", self, self.em_loss, optimizer=descent, patience=20),)

    def em_loss(self, batch: Batch) -> Tensor:
        """Mean negative log-likelihood in nats, with θ - θ' in the place of its gradient: θ' is where an EM
        step leads, and gradient descent with rate 1 goes there.
        """
        nll, targets = self.em_step_from(batch.x)
        gaps = [(own - to).square().sum() / 2 for own, to in zip(self.theta, targets, strict=True)]
        gap = torch.stack(gaps).sum()
        return nll + (gap - gap.detach())

    def em_step_from(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The mean negative log-likelihood of x: (B, *shape), and θ' after an EM step on the data of all
        processes, which is the same on each.
        """
        naturals = [eta.detach().requires_grad_() for eta in self._naturals()]
        with torch.enable_grad():
            log_p = self._log_p(self._values(everything(x), naturals), naturals)
            expected = [_summed(e) for e in torch.autograd.grad(log_p.sum(), naturals)]
        each = zip(self.families, self.theta, expected, strict=True)
        return -log_p.detach().mean(), [f.step(t.detach(), e, self.em_step) for f, t, e in each]

    # ----------------------------------------------------------------------------------- pass up

    def log_marginal(self, evidence: Observed) -> Tensor:
        naturals = self._naturals()
        return self._log_p(self._values(evidence, naturals), naturals)

    def _naturals(self) -> list[Tensor]:
        """η of the leaves: (R · 2^Δ, S, F, leaves), log-weights of each level, and of the root."""
        return [f.natural(theta) for f, theta in zip(self.families, self.theta, strict=True)]

    def _values(self, evidence: Observed, naturals: Sequence[Tensor]) -> list[Tensor]:
        """(R · 2^l, B, K) for l = Δ … 0, whatever the precision of training."""
        with full_precision(self.members.device):
            values = [self._leaves(evidence, naturals[0])]
            for log_weight in naturals[1:-1]:
                values.append(log_einsum_exp(values[-1], log_weight))
        return values

    def _leaves(self, evidence: Observed, eta: Tensor) -> Tensor:
        """(R · 2^Δ, B, leaves) log p of the observed entries of each leaf region."""
        mask = evidence.mask.flatten(1).unsqueeze(-1)
        observed = self.families[0].statistics(known(evidence).x.flatten(1)) * mask
        padded = nn.functional.pad(observed, (0, 0, 0, 1)).transpose(0, 1)  # (D + 1, B, F)
        own = padded[self.members].transpose(1, 2).flatten(2)  # (R · 2^Δ, B, S · F)
        return (own.to(eta.dtype) @ eta.flatten(1, 2)).to(self.theta[0].dtype)

    def _log_p(self, values: Sequence[Tensor], naturals: Sequence[Tensor]) -> Tensor:
        """(B,)"""
        return self._root_terms(values, naturals).logsumexp(1).to(values[-1].dtype)

    def _root_terms(self, values: Sequence[Tensor], naturals: Sequence[Tensor]) -> Tensor:
        """(B, R · K) float64: what the root sums."""
        top = values[-1].transpose(0, 1).flatten(1)
        return top.double() + naturals[-1].flatten().double()

    # --------------------------------------------------------------------------------- pass down

    def _draw(self, evidence: Observed, n: int, generator: Generator) -> Tensor:
        naturals = self._naturals()
        values = self._values(evidence, naturals)
        pieces = len(evidence)
        piece = torch.arange(pieces, device=self.members.device).repeat(n)  # (n · B,)
        root = pick(self._root_terms(values, naturals)[piece], generator)
        width = values[-1].shape[2]
        region, chosen = (root // width).unsqueeze(1), (root % width).unsqueeze(1)
        for below, log_weight in zip(values[-2::-1], naturals[-2:0:-1], strict=True):
            region, chosen = _descend(region, chosen, piece, below, log_weight, generator)
        return self._draw_leaves(region, chosen, generator).view(n, pieces, *self.spec.shape)

    def _draw_leaves(self, region: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
        """(N, D) of the distributions chosen: (N, 2^Δ) of the leaf regions region: (N, 2^Δ)."""
        theta = self.theta[0][region, :, :, chosen]  # (N, 2^Δ, S, params)
        drawn = self.families[0].sample(theta, generator)
        x = drawn.new_empty(len(drawn), self.spec.size + 1)
        return x.scatter_(1, self.members[region].flatten(1), drawn.flatten(1))[:, :-1]


def _summed(x: Tensor) -> Tensor:
    """Over all processes."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    x = x.contiguous()
    distributed.all_reduce(x)
    return x


def log_einsum_exp(values: Tensor, log_weight: Tensor) -> Tensor:
    """(P, B, K) sums of regions over products of their halves.

    values: (2 P, B, I) nats, the halves beside each other; log_weight: (P, I · I, K).
    """
    halves = values.unflatten(0, (-1, 2))
    top = halves.detach().amax(3, keepdim=True)
    a, b = (halves - top).exp().unbind(1)
    products = (a.unsqueeze(3) * b.unsqueeze(2)).flatten(2)
    total = products @ log_weight.exp()
    return total.clamp_min(torch.finfo(total.dtype).tiny).log() + top.sum(1)


def pick(terms: Tensor, generator: Generator) -> Tensor:
    """(…) int64 in [0, C), drawn in proportion to exp(terms): (…, C).

    In float64, where a uniform number of 24 bits never falls behind the last child that is possible.
    """
    below = terms.double().softmax(-1).cumsum(-1)[..., :-1]
    u = torch.rand(terms.shape[:-1], generator=generator, device=terms.device)
    return (below <= u.unsqueeze(-1)).sum(-1)


def _descend(
    region: Tensor,
    chosen: Tensor,
    piece: Tensor,
    below: Tensor,
    log_weight: Tensor,
    generator: Generator,
) -> tuple[Tensor, Tensor]:
    """From N distributions chosen: (N, 2^l) of region: (N, 2^l) to one of each half, (N, 2^(l+1)) twice.

    below: (R · 2^(l+1), B, I) the values of halves; piece: (N,) which of the B pieces of evidence is
    followed.
    """
    halves = torch.stack([2 * region, 2 * region + 1], -1)
    a, b = below[halves, piece.view(-1, 1, 1)].unbind(2)
    products = (a.unsqueeze(3) + b.unsqueeze(2)).flatten(2)
    pair = pick(products + log_weight[region, :, chosen], generator)
    width = below.shape[2]
    return halves.flatten(1), torch.stack([pair // width, pair % width], -1).flatten(1)


def _depth(size: int, depth: int | None) -> int:
    """Raises UsageError where some regions would be empty."""
    most = size.bit_length() - 1
    if depth is None:
        return min(most, 4, max(1, most - 2))
    if not 0 <= depth <= most:
        raise UsageError(
            f"model.depth={depth} must be between 0 and {most}: {size} entries are not halved more often"
        )
    return depth
