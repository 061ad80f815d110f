"""Drawing from a masked network at the cost of about half a forward pass per datum.

Sorted by degree, what the output at position p may see is a prefix of every layer, and the prefix
grows by the units of degree p - 1 when x at position p - 1 is drawn. Each weight that its mask leaves is
used once: the naive way, a whole pass for every dimension, uses it D times.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.models.made.network import MaskedNetwork
from genlab.nn.heads import Head


class IncrementalSampler:
    """One ordering of a network, its weights arranged by position and degree.

    position: (D,), the network's own k-th ordering or any other.
    """

    def __init__(self, network: MaskedNetwork, head: Head, k: int, position: Tensor) -> None:
        self.network, self.head = network, head
        self.order = position.argsort()
        below, self.weights, self.biases, self.ends = self.order, [], [], []
        for layer, degree in zip(network.layers, network.degrees(k), strict=True):
            units = degree.argsort(stable=True)
            self.weights.append(layer.weight[units][:, below])
            self.biases.append(layer.bias[units, None])
            self.ends.append(_ends(degree, network.size))
            below = units
        self.bias = network.bias[self.order]
        self.output = None if network.output is None else network.output[self.order][:, :, below]
        direct = network.direct
        self.direct = None if direct is None else direct[self.order][:, :, self.order]

    @torch.no_grad()
    def draw(
        self,
        u: Tensor,
        scale: float,
        shift: float,
        known: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """x: (n, D) by inverting the conditionals at u: (n, D), and log q: (n,) of what was drawn.

        The network sees ``scale · x + shift``. Where mask: (D,) is True, x is known: (n, D), not drawn.
        """
        n, size = u.shape
        x = torch.empty(size, n, device=u.device)
        seen = torch.empty(size, n, device=u.device)
        hidden = [torch.empty(len(w), n, device=u.device) for w in self.weights]
        log_q = torch.zeros(n, device=u.device)
        for p, d in enumerate(self.order.tolist()):
            theta = self._theta(p, seen, hidden)
            if mask is not None and known is not None and mask[d]:
                x[d] = known[:, d]
            else:
                x[d] = self.head.quantile(u[:, d], theta)
                log_q += self.head.log_prob(x[d], theta)
            seen[p] = scale * x[d] + shift
        return x.T.contiguous(), log_q

    def _theta(self, p: int, seen: Tensor, hidden: list[Tensor]) -> Tensor:
        """(n, P) at position p; completes the units of degree p - 1 on the way."""
        below, width = seen, p
        for layer, weight in enumerate(self.weights):
            start, end = self.ends[layer][p], self.ends[layer][p + 1]
            if end > start:
                total = torch.addmm(
                    self.biases[layer][start:end], weight[start:end, :width], below[:width]
                )
                hidden[layer][start:end] = self.network.activation(total)
            below, width = hidden[layer], end
        theta = self.bias[p, :, None]
        if self.output is not None:
            theta = torch.addmm(theta, self.output[p, :, :width], below[:width])
        if self.direct is not None:
            theta = torch.addmm(theta, self.direct[p, :, :p], seen[:p])
        return theta.expand(-1, seen.shape[1]).T


def _ends(degree: Tensor, size: int) -> list[int]:
    """ends[p + 1]: how many units have a degree below p, which position p may see. ends[0] is 0."""
    counts = torch.bincount(degree.long(), minlength=size)
    return [0, 0, *F.pad(counts.cumsum(0), (0, 0)).tolist()]


@torch.no_grad()
def draw_naively(
    network: MaskedNetwork, head: Head, k: int, u: Tensor, scale: float, shift: float
) -> Tensor:
    """The same x by D full passes: the reference that the incremental sampler is tested against."""
    x = torch.zeros_like(u)
    for d in network.positions[k].argsort().tolist():
        theta = network(scale * x + shift, k)
        x[:, d] = head.quantile(u[:, d], theta[:, d])
    return x
