"""MADE: masked autoencoder for distribution estimation.

Factorise p(x) = Π_d p(x_d | x_<d) along an ordering of the dimensions. One network gives the parameters
θ_d of all conditionals at once; masks on its weights make θ_d depend on x_<d only, so one pass costs
what an autoencoder costs and gives the exact log p(x). With K orderings the model is the mixture
p(x) = 1/K Σ_k p_k(x): probabilities are averaged, never logits, whose average is no distribution.

Mathieu Germain, Karol Gregor, Iain Murray, Hugo Larochelle: MADE: Masked Autoencoder for Distribution
Estimation. ICML 2015, https://arxiv.org/abs/1502.03509
"""

from genlab.models.made.model import MADE

__all__ = ["MADE"]
