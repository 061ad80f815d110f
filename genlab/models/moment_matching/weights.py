"""The likelihood of a model whose bits are independent given its noise: the prior as proposal.

  p(x) = E_z Π_d Bernoulli(x_d; sigmoid θ_d(z))

so the probability of x given a draw of z is an importance weight. Draws of z know nothing of x: on images
hardly any fits, and the bound E log 1/K Σ w is true but lies far below log p(x). The same draws serve all
x of a call, which makes their decoding, the expensive part, independent of how many x there are.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Generator, Tensor
from torch.nn import functional as F

from genlab.contracts import GenerativeModel, HasImportanceWeights
from genlab.nn.precision import products


class PriorWeights(GenerativeModel, HasImportanceWeights):
    """log_weights from the logits of bits that ``theta`` gives."""

    proposal = "prior, the same draws for every datum of a block"

    @abstractmethod
    def theta(self, n: int, generator: Generator) -> Tensor:
        """(n, *shape) logits at n draws of the noise."""

    def log_weights(
        self, x: Tensor, k: int, *, label: Tensor | None = None, generator: Generator
    ) -> Tensor:
        """(k, B) log p(x | z) of x: (B, *shape) at k draws of z."""
        self.refuse_label(label)
        theta = self.theta(k, generator).float().flatten(1)
        return products(theta, x.flatten(1)) - F.softplus(theta).sum(1, keepdim=True)
