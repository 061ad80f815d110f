"""Chow-Liu tree: of all distributions whose dependencies form a tree, the nearest to the data.

p(x) = Π_d p(x_d | x_π(d)), where π(d) is the parent of entry d in a tree. For a given tree the likelihood
is greatest with the empirical conditionals, and is then Σ_d I(x_d; x_π(d)) - Σ_d H(x_d) for each datum: the
best tree is the maximum spanning tree under the mutual information I of pairs of entries.

Counts are smoothed by α for each value of an entry, spread evenly over the values of the other one:
p(x_c = a, x_d = b) = (n_ab + α / L) / (N + α L), so that p(x_d = b) = (n_b + α) / (N + α L), which are the
marginals of the independent model where α is a half.

C. K. Chow, C. N. Liu: Approximating discrete probability distributions with dependence trees. IEEE
Transactions on Information Theory, 1968, https://doi.org/10.1109/TIT.1968.1054142
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.contracts import (
    Batch,
    Completes,
    DataSpec,
    Evidence,
    Figure,
    GenerativeModel,
    Guarantee,
    HasFigures,
    HasLikelihood,
    Images,
    LogLikelihood,
    Measure,
    Observed,
    Stage,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.nn.heads import Categorical

MOST_VALUES = 2**12  # D · L: all pairs of values are counted, in 128 MiB at most
ZOOM = 6  # screen pixels for each pixel of the data, in the drawing of the tree
READABLE = 320  # pixels: a smaller drawing is enlarged


class ChowLiu(GenerativeModel, HasLikelihood, Completes, HasFigures):
    """The best tree of pairwise dependencies, in closed form (Chow & Liu 1968).

    smoothing: counts α > 0 added to each value of an entry.
    """

    supports = frozenset({Support.BINARY, Support.LEVELS})
    completes = frozenset({Observed})
    guarantee = Guarantee.EXACT

    def __init__(self, spec: DataSpec, smoothing: float = 0.5) -> None:
        super().__init__(spec)
        if not smoothing > 0:
            raise UsageError(f"model.smoothing={smoothing:g} must be greater than 0")
        assert spec.levels is not None
        self.size, self.levels, self.smoothing = spec.size, spec.levels, smoothing
        if self.size * self.levels > MOST_VALUES:
            raise UnsupportedData(
                f"ChowLiu counts all pairs of values; {spec.name} has {self.size} entries of "
                f"{self.levels} values, more than {MOST_VALUES} in all"
            )
        # log p(x_d = b | x_π(d) = a) up to a constant: (D, L of the parent, L); alike for all a at the root
        self.logits = nn.Parameter(torch.zeros(self.size, self.levels, self.levels))
        self.parent: Tensor
        self.order: Tensor
        self.register_buffer("parent", torch.zeros(self.size, dtype=torch.long))
        self.register_buffer("order", torch.arange(self.size))  # parents before their children

    # ------------------------------------------------------------------------------------- learning

    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss, solve=self.solve),)

    def solve(self, batches: Iterable[Batch]) -> None:
        joint = self._joint(batches)
        parent, order = maximum_spanning_tree(mutual_information(joint))
        pairs = joint[parent, :, torch.arange(self.size)]  # (D, L of the parent, L)
        root = order[0]
        pairs[root] = joint[root, :, root].diagonal()  # for every value of the parent it has not
        self.logits.copy_(pairs.log())
        self.parent.copy_(parent)
        self.order.copy_(order)

    def _joint(self, batches: Iterable[Batch]) -> Tensor:
        """(D, L, D, L) float64 smoothed p(x_c = a, x_d = b); on the diagonal c = d, p(x_d = b)."""
        counts = torch.zeros(self.size * self.levels, self.size * self.levels, dtype=torch.float64)
        n = 0
        for batch in batches:
            hot = F.one_hot(self._level(batch.x), self.levels).float().flatten(1)
            counts += (hot.T @ hot).double().cpu()  # whole numbers below 2^24: exact in float32
            n += len(hot)
        joint = counts.view(self.size, self.levels, self.size, self.levels)
        alpha, own = self.smoothing, torch.arange(self.size)
        joint += alpha / self.levels
        joint[own, :, own] += alpha * torch.eye(self.levels).double() - alpha / self.levels
        return joint / (n + alpha * self.levels)

    def _level(self, x: Tensor) -> Tensor:
        """x: (B, *shape) as (B, D) whole numbers."""
        return (x.flatten(1) * (self.levels - 1)).round().long()

    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log-likelihood in nats."""
        return -self.log_prob(batch.x).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": -self.log_prob(batch.x)}

    # ----------------------------------------------------------------------------------- likelihood

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats of x: (B, *shape)."""
        level = self._level(x)
        entry = torch.arange(self.size, device=level.device)
        return self._log_p()[entry, level[:, self.parent], level].sum(1)

    def log_likelihood(
        self, x: Tensor, *, label: Tensor | None = None, generator: Generator
    ) -> LogLikelihood:
        """The exact log-probability of x, a mass."""
        self.refuse_label(label)
        return LogLikelihood(self.log_prob(x), self.guarantee, Measure.MASS, method="tree")

    def _log_p(self) -> Tensor:
        """(D, L, L) log p(x_d = b | x_π(d) = a), normalised over b."""
        return self.logits.log_softmax(-1)

    # ------------------------------------------------------------------------- sampling, completion

    def sample(self, n: int, *, label: Tensor | None = None, generator: Generator) -> Tensor:
        """Exact draws: parents before their children."""
        self.refuse_label(label)
        belief = torch.zeros(1, self.size, self.levels, device=self.logits.device)
        return self._draw(belief.expand(n, -1, -1), generator)

    def complete(
        self, evidence: Evidence, n: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(n, B, *shape): exact draws given what is observed, by belief propagation and sampling.

        Judea Pearl: Reverend Bayes on inference engines. AAAI 1982.
        """
        self.refuse_label(label)
        if not isinstance(evidence, Observed):
            raise UsageError(f"ChowLiu completes Observed evidence, not {type(evidence).__name__}")
        belief = self._beliefs(self._level(evidence.x), evidence.mask.flatten(1))
        drawn = self._draw(belief.repeat(n, 1, 1), generator).unflatten(0, (n, -1))
        return torch.where(evidence.mask, evidence.x, drawn)

    def _beliefs(self, level: Tensor, mask: Tensor) -> Tensor:
        """(B, D, L) log p(what is observed of d and below it | x_d = b), from the leaves to the root."""
        possible = F.one_hot(level, self.levels).bool() | ~mask.unsqueeze(-1)
        belief = torch.zeros(possible.shape, device=level.device).masked_fill(~possible, -math.inf)
        log_p, parent = self._log_p(), self.parent.tolist()
        for d in reversed(self.order[1:].tolist()):
            message = (log_p[d] + belief[:, d, None, :]).logsumexp(-1)
            belief[:, parent[d]] += message
        return belief

    def _draw(self, belief: Tensor, generator: Generator) -> Tensor:
        """(n, *shape) drawn from the root to the leaves, given beliefs (n, D, L)."""
        u = torch.rand(belief.shape[:2], generator=generator, device=belief.device)
        log_p, parent, values = self._log_p(), self.parent.tolist(), Categorical(self.levels)
        x = torch.zeros_like(u)
        for d in self.order.tolist():
            above = (x[:, parent[d]] * (self.levels - 1)).round().long()
            x[:, d] = values.quantile(u[:, d], log_p[d, above] + belief[:, d])
        return x.unflatten(1, self.spec.shape)

    # -------------------------------------------------------------------------------------- figures

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        if not self.spec.is_image:
            return
        yield Figure(
            "tree",
            "The tree: each pixel is joined to the one whose value it depends on. Long lines are faint.",
            Images(_enlarged(self._drawing())[None, None, None]),
        )

    def _drawing(self) -> Tensor:
        """(ZOOM · H, ZOOM · W) in [0, 1]: a straight line from each pixel's centre to its parent's."""
        _, height, width = self.spec.shape
        cell = torch.arange(self.size, device=self.parent.device) % (height * width)
        end = ZOOM * torch.stack([cell // width, cell % width], 1) + ZOOM // 2
        start = end[self.parent]
        along = torch.linspace(0, 1, 2 * ZOOM * max(height, width), device=end.device)
        path = (start + along[:, None, None] * (end - start)).round().long()
        length = (end - start).float().norm(dim=1).clamp(min=ZOOM)
        picture = torch.zeros(ZOOM * height * ZOOM * width, device=end.device)
        place = path[..., 0] * ZOOM * width + path[..., 1]
        shade = (ZOOM / length).expand(place.shape)
        picture.scatter_reduce_(0, place.flatten(), shade.flatten(), "amax")
        return picture.view(ZOOM * height, ZOOM * width)


def _enlarged(picture: Tensor) -> Tensor:
    """By a whole number, so that the tree of a small picture can be seen."""
    factor = max(1, READABLE // max(picture.shape))
    return picture.repeat_interleave(factor, 0).repeat_interleave(factor, 1)


def mutual_information(joint: Tensor) -> Tensor:
    """(D, D) nats I(x_c; x_d) of joint: (D, L, D, L), whose diagonal c = d holds the marginals."""
    entropy = -torch.xlogy(joint, joint).sum((1, 3))
    own = entropy.diagonal()
    return own[:, None] + own - entropy


def maximum_spanning_tree(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The spanning tree of greatest weight: (D, D), symmetric, by Prim's algorithm from entry 0.

    Returns (D,) the parent of each entry, the root its own, and (D,) an order with parents first.
    R. C. Prim: Shortest connection networks and some generalizations. Bell System Technical Journal, 1957.
    """
    size = len(weight)
    parent = torch.zeros(size, dtype=torch.long)
    outside = torch.ones(size, dtype=torch.bool)
    best, order, newest = torch.full((size,), -math.inf, dtype=weight.dtype), [0], 0
    outside[0] = False
    while len(order) < size:
        closer = outside & (weight[newest] > best)
        parent[closer] = newest
        best = torch.where(closer, weight[newest], best)
        newest = int(best.masked_fill(~outside, -math.inf).argmax())
        outside[newest] = False
        order.append(newest)
    return parent, torch.tensor(order)
