"""Sum-product networks: deep mixtures whose every marginal and conditional is exact.

A network is a rooted graph over leaves, distributions of single entries x_d. A **sum** mixes children
over the same entries, S = Σ_j w_j S_j with Σ_j w_j = 1; a **product** joins children over disjoint ones,
P = Π_j P_j. So each node is a distribution of the entries below it, and the root is p(x). Integrals pass
through sums and products to the leaves: with the leaves of unobserved entries put to one, the same pass
up gives p(observed), and a pass down that follows each sum to one child, in proportion to what it added,
draws the rest from p(unobserved | observed). Both passes touch each edge once (Poon & Domingos 2011).

The derivative of log p by a log-weight is the expected count of its edge, given x. EM normalises these
counts:

    n_ij = Σ_x ∂ log p(x) / ∂ log w_ij                    w_ij ← n_ij / Σ_j n_ij

and no step of it over all data decreases their likelihood.

| model | structure | evaluated |
|---|---|---|
| ``RandomSPN`` (``model=spn``) | halves of shuffled entries | one log-einsum-exp for each level |
| ``LearnedSPN`` (``model=learnspn``) | LearnSPN, leaves being trees | in steps of nodes of one kind |

| file | says |
|---|---|
| ``network`` | what both can do: likelihood, marginals, conditionals, samples |
| ``pictures`` | what follows from half an image |
| ``tensorised``, ``regions``, ``families`` | the random network, its regions, its exponential families |
| ``learned``, ``circuit`` | the learned network as a model, and its evaluation |
| ``learning``, ``dependence``, ``clustering``, ``trees`` | LearnSPN: columns, rows, leaves |

Hoifung Poon, Pedro Domingos: Sum-product networks: a new deep architecture. UAI 2011, arXiv 1202.3732.
"""

from genlab_spn.learned import LearnedSPN
from genlab_spn.network import SumProductNetwork
from genlab_spn.tensorised import RandomSPN

__all__ = ["LearnedSPN", "RandomSPN", "SumProductNetwork"]
