"""Boltzmann machines: restricted ones, and the deep models that are made of them.

A restricted Boltzmann machine has visible units v and hidden units h that see only each other. With
bits on both sides,

  p(v, h) = exp(−E(v, h)) / Z,   E(v, h) = −hᵀWv − bᵀv − cᵀh,
  p(v) = exp(−F(v)) / Z,         F(v) = −bᵀv − Σ_j log(1 + exp(Wv + c)_j).

Each side given the other is independent, so Gibbs sampling takes whole sides in turn. Z is a sum over
the states of the smaller side, or it is estimated by annealing from the base rates of the data.

| file | says |
|---|---|
| ``units`` | kinds of units: Bernoulli, softmax, Gaussian, rectified |
| ``couplings``, ``states`` | what a machine does with its weights; sums over all states of one side |
| ``energy`` | the machine as something that learns, in centred coordinates |
| ``contrastive``, ``chains`` | contrastive divergence as a loss; where its negative phase comes from |
| ``path``, ``annealed`` | from independent units to the machine: for log Z, and for samples |
| ``inputs``, ``labels`` | how data become visible units; labels beside them |
| ``rbm`` | the model of one machine |
| ``stack`` | machines on top of each other, trained greedily |
| ``tie`` | a machine that begins as the one below it, upside down |
| ``directed`` | layers below the top machine: generation and recognition |
| ``updown`` | contrastive wake–sleep of all layers together |
| ``dbn`` | the deep belief network |
| ``feedforward`` | networks that start from a stack, or from random weights |
| ``classifier``, ``autoencoder`` | such networks with labels, and unrolled |

Paul Smolensky: Information Processing in Dynamical Systems, 1986. Ruslan Salakhutdinov, Iain Murray: On
the Quantitative Analysis of Deep Belief Networks. ICML 2008,
https://www.cs.toronto.edu/~rsalakhu/papers/dbn_ais.pdf
"""

from genlab.models.boltzmann.autoencoder import DeepAutoencoder
from genlab.models.boltzmann.classifier import StackClassifier
from genlab.models.boltzmann.contrastive import Contrastive
from genlab.models.boltzmann.couplings import Couplings
from genlab.models.boltzmann.dbn import DBN
from genlab.models.boltzmann.energy import RestrictedBoltzmann
from genlab.models.boltzmann.path import BaseRatePath
from genlab.models.boltzmann.rbm import RBM
from genlab.models.boltzmann.units import Bernoulli

__all__ = [
    "DBN",
    "RBM",
    "BaseRatePath",
    "Bernoulli",
    "Contrastive",
    "Couplings",
    "DeepAutoencoder",
    "RestrictedBoltzmann",
    "StackClassifier",
]
