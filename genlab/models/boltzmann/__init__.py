"""Boltzmann machines: the energy that restricted machines and the models made of them share.

A restricted Boltzmann machine has binary visible units v and hidden units h that see only each other:

  p(v, h) = exp(−E(v, h)) / Z,   E(v, h) = −hᵀWv − bᵀv − cᵀh,
  p(v) = exp(−F(v)) / Z,         F(v) = −bᵀv − Σ_j log(1 + exp(Wv + c)_j).

Each side given the other is independent, so Gibbs sampling takes whole sides in turn. Z is a sum over
the states of the smaller side, or it is estimated by annealing from the base rates of the data.

Paul Smolensky: Information Processing in Dynamical Systems, 1986. Ruslan Salakhutdinov, Iain Murray: On
the Quantitative Analysis of Deep Belief Networks. ICML 2008, https://www.cs.toronto.edu/~rsalakhu/papers/dbn_ais.pdf
"""

from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.path import BaseRatePath, base_rates

__all__ = ["BaseRatePath", "RestrictedBoltzmann", "base_rates"]
