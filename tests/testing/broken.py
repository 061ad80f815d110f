"""Twins of the honest models with one fault each. None may pass, and the check that finds it is named.

Concrete models are not subclassed anywhere else: here a subclass is the shortest way to say "the same
model, but for this fault".
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from genlab.contracts import (
    Batch,
    DataSpec,
    Figure,
    GenerativeModel,
    Guarantee,
    HasLikelihood,
    Images,
    LogLikelihood,
    Measure,
    Model,
    Observed,
    Stage,
)
from tests.testing.honest import (
    BITS,
    Bottleneck,
    Dequantised,
    Energy,
    Factorised,
    Gaussian,
    Guided,
    Latent,
    LatticePath,
    Mixture,
    NaiveBayes,
    NoisyPosterior,
    PriorWeighted,
    Softmax,
    Staged,
    mass,
)

FAULTS: list[tuple[type[Model], str, str]] = []


def caught_by(check: str, telling: str):
    """The name of the check that finds the fault of this model, and what its author must read."""

    def register(model: type[Model]) -> type[Model]:
        FAULTS.append((model, check, telling))
        return model

    return register


# ------------------------------------------------------------------------------------------- likelihood


@caught_by("exact_likelihood_sums_to_one", "below one it is a bound or forgets a part")
class AveragedLogits(Mixture):
    """The mean of the experts' log-probabilities, which is the log-probability of nothing."""

    supports = BITS

    def log_likelihood(self, x, *, label=None, generator):
        return mass((self.each(x) - self.logits.log_softmax(0)).mean(1))


@caught_by("exact_likelihood_sums_to_one", "above one something leaks")
class LeakingMask(GenerativeModel, HasLikelihood):
    """Each bit is predicted from all bits, itself among them."""

    supports = BITS
    guarantee = Guarantee.EXACT

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.layer = nn.Linear(spec.size, spec.size)

    def log_prob(self, x: Tensor) -> Tensor:
        logits = self.layer(x.flatten(1))
        return (x.flatten(1) * logits - F.softplus(logits)).sum(1)

    def loss(self, batch: Batch) -> Tensor:
        return -self.log_prob(batch.x).mean()

    def log_likelihood(self, x, *, label=None, generator):
        return mass(self.log_prob(x))

    def sample(self, n, *, label=None, generator):
        x = torch.zeros(n, self.spec.size)
        for d in range(self.spec.size):
            x[:, d] = torch.bernoulli(self.layer(x)[:, d].sigmoid(), generator=generator)
        return x.unflatten(1, self.spec.shape)


@caught_by("exact_likelihood_sums_to_one", "a density is given for a mass) (they sum to 16.0")
class LevelsAsDensity(Factorised):
    """A mass divided by the width of a level's cell."""

    def log_likelihood(self, x, *, label=None, generator):
        width = torch.tensor(1 / (self.spec.levels or 2))
        return mass(self.log_prob(x) - self.spec.size * width.log())


@caught_by("exact_likelihood_sums_to_one", "below one it is a bound")
class BestComponentAsExact(Mixture):
    """A lower bound without noise, reported as exact."""

    supports = BITS

    def log_likelihood(self, x, *, label=None, generator):
        return mass(self.each(x).max(1).values)


@caught_by(
    "exact_likelihood_has_no_noise", "a number with noise in it is an estimate, or the lower bound"
)
class BoundAsExact(Latent):
    guarantee = Guarantee.EXACT

    def log_likelihood(self, x, *, label=None, generator):
        return replace(super().log_likelihood(x, generator=generator), guarantee=Guarantee.EXACT)


@caught_by("exact_likelihood_sums_to_one", "a Jacobian is missing")
class MissingJacobian(Gaussian):
    """The density of the standardised datum, given for the datum."""

    def log_prob(self, x: Tensor) -> Tensor:
        return super().log_prob(x) + self.scale.log().sum()


@caught_by("samples_follow_the_exact_likelihood", "compare the order of dimensions")
class TransposedSamples(Mixture):
    """Samples with rows and columns exchanged."""

    def sample(self, n, *, label=None, generator):
        return super().sample(n, label=label, generator=generator).transpose(-1, -2)


@caught_by("samples_follow_the_exact_likelihood", "compare the order of dimensions")
class ReversedBits(Staged):
    def sample(self, n, *, label=None, generator):
        return super().sample(n, label=label, generator=generator).flip(-1, -2)


@caught_by("samples_follow_the_exact_likelihood", "compare the order of dimensions, scales")
class CoolSamples(Gaussian):
    """Samples at 95 % of the model's scale."""

    def sample(self, n, *, label=None, generator):
        return self.shift + 0.95 * (super().sample(n, generator=generator) - self.shift)


@caught_by("likelihood_is_never_nan", "1 of 80 data, first [0.0, 0.0, 0.0, 0.0]")
class NaNOnOneDatum(Factorised):
    """0 · log 0 on the datum that is black."""

    def log_likelihood(self, x, *, label=None, generator):
        total = x.flatten(1).sum(1)
        return mass(self.log_prob(x) + 0 * (total / total))


@caught_by(
    "likelihoods_of_large_data_are_finite",
    "log-probabilities must be added and logsumexp taken ([-inf, -inf]",
)
class ProbabilitiesInFloat32(Factorised):
    """Right on a few bits, and minus infinity on an image."""

    def log_prob(self, x: Tensor) -> Tensor:
        return super().log_prob(x).exp().log()


@caught_by("likelihood_says_what_it_is", "DENSITY on REAL data (measure: <Measure.MASS")
class WrongMeasure(Gaussian):
    def log_likelihood(self, x, *, label=None, generator):
        result = super().log_likelihood(x, generator=generator)
        return replace(result, measure=Measure.MASS)


@caught_by(
    "likelihood_says_what_it_is", "'lower bound'> from a model whose guarantee is <Guarantee.EXACT"
)
class ExactOnlyAtFirst(Latent):
    """A model that promises more than its numbers do."""

    guarantee = Guarantee.EXACT


@caught_by("likelihood_says_what_it_is", "one number per datum")
class MeanOfTheBatch(Factorised):
    """One number for all data."""

    def log_likelihood(self, x, *, label=None, generator):
        return mass(self.log_prob(x).mean())


@caught_by("bound_sums_to_at_most_one", "sum to more than one over all data")
class BoundWithoutPrior(Latent):
    """The reconstruction alone: the divergence from the prior is forgotten."""

    def log_likelihood(self, x, *, label=None, generator):
        mean, log_sd = self.encoder(x.flatten(1)).chunk(2, -1)
        z = mean + log_sd.exp() * torch.randn(mean.shape, generator=generator)
        logits = self.decoder(z)
        return mass((x.flatten(1) * logits - F.softplus(logits)).sum(1), Guarantee.LOWER_BOUND)


@caught_by(
    "bound_is_below_the_sampler",
    "its mean is above the logarithm of how often the datum is sampled",
)
class BoundOfAnotherModel(Latent):
    """A true bound, on the distribution of inverted data."""

    def log_likelihood(self, x, *, label=None, generator):
        return super().log_likelihood(1 - x, generator=generator)


# ----------------------------------------------------------------------------------- importance weights


@caught_by("weights_sum_to_one_in_expectation", "they sum to 0.94")
class WeightsFivePercentLow(Latent):
    """E[w] = 0.95 p(x): invisible to a test that asks for no more than one."""

    def log_weights(self, x, k, *, label=None, generator):
        return super().log_weights(x, k, generator=generator) + np.log(0.95)


@caught_by("weights_sum_to_one_in_expectation", "a missing log q(z|x) or log p(z)")
class WeightsWithoutProposal(Latent):
    """log p(x | z) at z ~ q, without the ratio of prior and proposal."""

    def noisy_weights(self, x: Tensor, noise: Tensor) -> Tensor:
        mean, log_sd = self.encoder(x.flatten(1)).chunk(2, -1)
        logits = self.decoder(mean + log_sd.exp() * noise)
        return (x.flatten(1) * logits - F.softplus(logits)).sum(-1)

    def loss(self, batch: Batch) -> Tensor:
        return -super().noisy_weights(batch.x, torch.randn(1, len(batch.x), self.codes)).mean()


@caught_by("weights_sum_to_one_in_expectation", "draws that are not from q")
class WeightsOfTheBestDraw(PriorWeighted):
    """The larger of two draws at each place: biased, though each is a weight."""

    def log_weights(self, x, k, *, label=None, generator):
        twice = super().log_weights(x, 2 * k, generator=generator)
        return twice.unflatten(0, (k, 2)).max(1).values


@caught_by("weights_come_from_draws_of_their_own", "must come from k draws: they are all the same")
class ManyOfOneDraw(Latent):
    def log_weights(self, x, k, *, label=None, generator) -> Tensor:
        return super().log_weights(x, 1, generator=generator).expand(k, -1)


@caught_by(
    "weights_agree_with_the_sampler", "the weights belong to another distribution than the samples"
)
class WeightsOfAnotherSampler(PriorWeighted):
    """Samples of a narrower prior than the weights have."""

    def sample(self, n, *, label=None, generator):
        p = self.network(torch.rand(n, 1, generator=generator) - 0.5).sigmoid()
        return torch.bernoulli(p, generator=generator).unflatten(1, self.spec.shape)


@caught_by(
    "weights_have_a_row_per_draw",
    "of shape (k, B), and neither NaN nor infinite above ((6, 1) for k = 1",
)
class WeightsTransposed(PriorWeighted):
    def log_weights(self, x, k, *, label=None, generator):
        return super().log_weights(x, k, generator=generator).T


@caught_by("weights_follow_a_permuted_batch", "a row's weights depend on its place")
class WeightsByPlace(Latent):
    """Later rows of a batch get a little more."""

    def log_weights(self, x, k, *, label=None, generator):
        place = torch.linspace(-0.7, 0.7, len(x))
        return super().log_weights(x, k, generator=generator) + place


# ---------------------------------------------------------------------------------------------- samples


@caught_by("samples_lie_in_the_support", "bits, not the probabilities of bits")
class GreySamples(Mixture):
    """Probabilities of bits in the place of bits."""

    supports = BITS

    def sample(self, n, *, label=None, generator):
        k = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        return self.theta[k].squeeze(-1).sigmoid()


@caught_by("samples_have_the_shape_of_the_data", "sample(1) has shape (1, 2, 2), not (1, 1, 2, 2)")
class SqueezedSamples(Factorised):
    """One sample comes without its first dimension."""

    def sample(self, n, *, label=None, generator):
        x = super().sample(n, generator=generator)
        return x[0] if n == 1 else x


@caught_by(
    "same_generator_same_samples", "two generators in the same state must give the same samples"
)
class RememberingSampler(Factorised):
    """Goes on where the last call stopped."""

    calls = 0

    def sample(self, n, *, label=None, generator):
        self.calls += 1
        torch.rand(self.calls, generator=generator)
        return super().sample(n, generator=generator)


@caught_by("different_generators_different_samples", "the generator is not used")
class SeededSampler(Factorised):
    def sample(self, n, *, label=None, generator):
        return super().sample(n, generator=torch.Generator().manual_seed(0))


# --------------------------------------------------------------------------------------- other samplers


@caught_by("samplers_draw_data", "Tempered: outside of the support")
class GreyBySampler(Guided):
    def sample_by(self, sampler, n, **options):
        x = super().sample_by(sampler, n, **options)
        return x if sampler is None else x / sampler.temperature


@caught_by("samplers_draw_data", "samplers is empty")
class NamesNoSampler(Guided):
    samplers = ()


@caught_by("generator_decides_what_samplers_draw", "Tempered: another generator gives the same")
class SeededBySampler(Guided):
    def sample_by(self, sampler, n, **options):
        if sampler is not None:
            options["generator"] = torch.Generator().manual_seed(0)
        return super().sample_by(sampler, n, **options)


@caught_by("no_sampler_is_the_models_own", "None is the model's own sampler")
class SomeSamplerForItsOwn(Guided):
    """What is asked for without a sampler is drawn by the first that it names."""

    def sample(self, n, *, label=None, generator):
        return super().sample_by(None, n, label=label, generator=generator)

    def sample_by(self, sampler, n, **options):
        return super().sample_by(sampler or self.samplers[0], n, **options)


@caught_by("unsuitable_samplers_are_refused", "must be refused with a UsageError")
class TakesAnySampler(Guided):
    """Falls back on its own."""

    def sample_by(self, sampler, n, **options):
        return super().sample_by(sampler if sampler in self.samplers else None, n, **options)


@caught_by("guidance_without_a_label_is_refused", "there is nothing to be guided to")
class GuidedToNothing(Guided):
    def sample_by(self, sampler, n, *, label=None, guidance=1.0, generator):
        guidance = 1.0 if label is None else guidance
        return super().sample_by(sampler, n, label=label, guidance=guidance, generator=generator)


# ------------------------------------------------------------------------------------------- randomness


@caught_by("sample_leaves_global_randomness_alone", "sample must draw from its generator alone")
class GlobalSampler(Factorised):
    def sample(self, n, *, label=None, generator):
        return super().sample(n, generator=torch.default_generator)


@caught_by("sample_leaves_global_randomness_alone", "the global generator of NumPy changed")
class NumpySampler(Factorised):
    """Seeds its own generator from NumPy's."""

    def sample(self, n, *, label=None, generator):
        seed = int(np.random.randint(2**31))  # noqa: NPY002 (the fault)
        return super().sample(n, generator=torch.Generator().manual_seed(seed))


@caught_by("sample_leaves_global_randomness_alone", "the global generator of torch changed")
class ReseedingSampler(Factorised):
    """Uses its generator, and leaves the global one at a place of its own."""

    def sample(self, n, *, label=None, generator):
        torch.manual_seed(0)
        return super().sample(n, generator=generator)


@caught_by(
    "log_likelihood_leaves_global_randomness_alone",
    "log_likelihood must draw from its generator alone",
)
class GlobalBound(Latent):
    def log_likelihood(self, x, *, label=None, generator):
        return super().log_likelihood(x, generator=torch.default_generator)


@caught_by(
    "log_weights_leaves_global_randomness_alone", "log_weights must draw from its generator alone"
)
class GlobalWeights(PriorWeighted):
    def log_weights(self, x, k, *, label=None, generator):
        return super().log_weights(x, k, generator=torch.default_generator)


@caught_by(
    "sample_by_leaves_global_randomness_alone", "sample_by must draw from its generator alone"
)
class GlobalBySampler(Guided):
    def sample_by(self, sampler, n, **options):
        torch.rand(1)
        return super().sample_by(sampler, n, **options)


@caught_by(
    "log_unnormalised_leaves_global_randomness_alone",
    "log_unnormalised must draw from its generator alone",
)
class GlobalEnergy(Energy):
    def log_unnormalised(self, x, k=1, *, generator):
        return super().log_unnormalised(x, k, generator=generator) + 1e-9 * torch.randn(k, len(x))


class GlobalPath(LatticePath):
    def transition(self, state, beta, *, generator):
        return super().transition(state, beta, generator=torch.default_generator)


@caught_by(
    "annealing_leaves_global_randomness_alone",
    "an annealing path must draw from its generator alone",
)
class GlobalAnnealing(Energy):
    path_class = GlobalPath


@caught_by("embed_leaves_global_randomness_alone", "embed must draw from its generator alone")
class GlobalEmbedding(Dequantised):
    def embed(self, x, *, generator):
        return super().embed(x, generator=torch.default_generator)


@caught_by("complete_leaves_global_randomness_alone", "complete must draw from its generator alone")
class GlobalCompletion(Mixture):
    def complete(self, evidence, n, *, label=None, generator):
        return super().complete(evidence, n, generator=torch.default_generator)


@caught_by("figures_leaves_global_randomness_alone", "the global generator of Python changed")
class GlobalFigures(Factorised):
    def figures(self, batch, *, generator):
        random.random()
        yield from super().figures(batch, generator=generator)


# ---------------------------------------------------------------------------------------------- batches


@caught_by(
    "likelihood_of_a_datum_ignores_its_batch",
    "something is computed over the batch (batch normalisation",
)
class BatchCoupled(Factorised):
    """Divides by what the batch sums to, as a batch normalisation in training mode would."""

    def log_likelihood(self, x, *, label=None, generator):
        nats = self.log_prob(x)
        return mass(nats - 0.01 * (nats.mean() - nats))


@caught_by(
    "likelihood_follows_a_permuted_batch", "a row's number depends on its place in the batch"
)
class BoundByPlace(Latent):
    def log_likelihood(self, x, *, label=None, generator):
        result = super().log_likelihood(x, generator=generator)
        return replace(result, nats=result.nats - torch.linspace(0, 2, len(x)))


# ------------------------------------------------------------------------------------------- completion


@caught_by("completions_keep_what_was_observed", "observed entries changed")
class IgnoredEvidence(Mixture):
    def complete(self, evidence, n, *, label=None, generator):
        x = [self.sample(n, generator=generator) for _ in evidence.x]
        return torch.stack(x, 1)


@caught_by("completions_follow_the_conditional", "drawing the rest from the marginal")
class MarginalCompletion(Mixture):
    """Keeps what was observed and draws the rest as if nothing had been."""

    def complete(self, evidence, n, *, label=None, generator):
        assert isinstance(evidence, Observed)
        x = torch.stack([self.sample(n, generator=generator) for _ in evidence.x], 1)
        return torch.where(evidence.mask, evidence.x, x)


@caught_by("completions_follow_the_conditional", "from the wrong row of a batch")
class NeighboursEvidence(Mixture):
    """The posterior of each datum goes to the next one of the batch."""

    def each(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        each = super().each(x, known)
        return each if known is None else each.roll(1, 0)


@caught_by("completions_follow_the_conditional", "drawing the rest from the marginal")
class UncorrelatedCompletion(Gaussian):
    def complete(self, evidence, n, *, label=None, generator):
        assert isinstance(evidence, Observed)
        x = torch.stack([self.sample(n, generator=generator) for _ in evidence.x], 1)
        return torch.where(evidence.mask, evidence.x, x)


@caught_by("completions_have_the_shape_of_the_data", "shape (5, 1, 1, 2, 2), not (1, 5, 1, 2, 2)")
class CompletionsTransposed(Mixture):
    def complete(self, evidence, n, *, label=None, generator):
        return super().complete(evidence, n, generator=generator).transpose(0, 1)


# --------------------------------------------------------------------------------------------- training


@caught_by("gradients_reach_every_parameter", "this one is never trained; use it in the loss")
class SilentParameter(Factorised):
    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.unused = nn.Parameter(torch.zeros(3))


@caught_by("gradients_reach_every_parameter", "(fit: logits)")
class Detached(Mixture):
    """The mixture's weights are learned from nothing."""

    def loss(self, batch: Batch) -> Tensor:
        each = self.each(batch.x) - self.logits.log_softmax(0)
        return -(each + self.logits.detach().log_softmax(0)).logsumexp(1).mean()


@caught_by("training_moves_the_model", "train longer (train_steps) or faster")
class SlowTraining(Factorised):
    def stages(self) -> Sequence[Stage]:
        slow = lambda parameters: torch.optim.SGD(parameters, lr=1e-6)  # noqa: E731
        return (Stage("fit", self, self.loss, optimizer=slow),)


@caught_by("stages_have_unique_names", "stages need names of their own")
class TwiceTheSameStage(Factorised):
    def stages(self) -> Sequence[Stage]:
        return (Stage("fit", self, self.loss), Stage("fit", self, self.loss))


@caught_by("model_can_be_built_and_trained", "a loss that is one number, not one per datum")
class LossOfEachDatum(Factorised):
    def loss(self, batch: Batch) -> Tensor:
        return -self.log_prob(batch.x)


@caught_by(
    "losses_are_finite_scalars",
    "one finite number that depends on the stage's parameters (stage fit: inf)",
)
class InfiniteLoss(Factorised):
    """The loss of a batch of odd size is infinite."""

    def loss(self, batch: Batch) -> Tensor:
        return super().loss(batch) / (1 - len(batch.x) % 2)


@caught_by(
    "losses_are_means_over_the_batch",
    "a sum makes the learning rate depend on the size of the batch",
)
class SummedLoss(Factorised):
    def loss(self, batch: Batch) -> Tensor:
        return super().loss(batch) * len(batch.x)


@caught_by("what_is_monitored_falls", "give -log p and not log p")
class MonitorsLogP(Factorised):
    """Higher is better: the checkpoint that is kept is the worst."""

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"log_p": self.log_prob(batch.x)}


@caught_by("validation_gives_a_number_per_datum", "nll has shape () for 33 data")
class ValidationOfTheBatch(Factorised):
    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"nll": self.loss(batch)}


# ------------------------------------------------------------------------------------------------ state


@caught_by("saved_and_loaded_model_is_the_same", "neither a parameter nor a persistent buffer")
class BuffersNotSaved(Gaussian):
    persistent = False


@caught_by("saved_and_loaded_model_is_the_same", "neither a parameter nor a persistent buffer")
class LearnedAttribute(Factorised):
    """Something learned is kept where no checkpoint looks."""

    temperature = 1.0

    def loss(self, batch: Batch) -> Tensor:
        self.temperature = 0.5
        return super().loss(batch)

    def log_prob(self, x: Tensor) -> Tensor:
        theta = self.theta / self.temperature
        return self.head.log_prob(x, theta.expand(len(x), *theta.shape)).flatten(1).sum(1)

    def sample(self, n, *, label=None, generator):
        theta = self.theta / self.temperature
        return self.head.sample(theta.expand(n, *theta.shape), generator)


@caught_by("deep_copy_is_the_same_and_apart", "changing the copy changed the model")
class SharedCopy(Factorised):
    """A copy that is the model itself."""

    def __deepcopy__(self, memo):
        return self


@caught_by("evaluation_changes_nothing", "changed: evaluated")
class CountingLikelihood(Factorised):
    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.register_buffer("evaluated", torch.zeros(()))

    def log_likelihood(self, x, *, label=None, generator):
        self.evaluated += len(x)
        return super().log_likelihood(x, generator=generator)


@caught_by("evaluation_changes_nothing", "the data handed in were written to")
class CentringInPlace(Gaussian):
    def log_likelihood(self, x, *, label=None, generator):
        result = super().log_likelihood(x, generator=generator)
        x -= self.shift
        return result


# ------------------------------------------------------------------------------------- figures and labels


@caught_by("figures_are_what_they_say", "pixels in [0, 255]")
class BrightFigures(Factorised):
    """Pixels in 0 … 255."""

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        yield Figure("bright", "Data.", Images(255 * batch.x[None]))


@caught_by("figures_are_what_they_say", "(rows, columns, 1 or 3, H, W)")
class FlatFigures(Factorised):
    """Images without rows and columns."""

    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        yield Figure("flat", "Data.", Images(batch.x))


@caught_by("figures_have_names_and_captions", "'data/first' is no file name")
class FiguresInFolders(Factorised):
    def figures(self, batch: Batch, *, generator: Generator) -> Iterator[Figure]:
        yield Figure("data/first", "Data.", Images(batch.x[None]))


@caught_by("labels_are_refused_or_used", "without classes in the data it must be refused")
class BelievesLabels(Mixture):
    """Says that a label was given where there are no classes."""

    def sample(self, n, *, label=None, generator):
        return super().sample(n, generator=generator)

    def log_likelihood(self, x, *, label=None, generator) -> LogLikelihood:
        result = super().log_likelihood(x, generator=generator)
        return result if label is None else replace(result, given="label")


@caught_by("labels_are_refused_without_classes", "as self.refuse_label(label) does")
class WeighsAnyLabel(Latent):
    def log_weights(self, x, k, *, label=None, generator):
        return super().log_weights(x, k, generator=generator)


@caught_by("labels_are_refused_without_classes", "(complete takes one)")
class CompletesAnyLabel(Mixture):
    def complete(self, evidence, n, *, label=None, generator):
        return super().complete(evidence, n, generator=generator)


# --------------------------------------------------------------------------------- energies and embeddings


class LazyPath(LatticePath):
    """A transition for the energy at half the temperature."""

    def transition(self, state, beta, *, generator):
        return super().transition(state, 2 * beta, generator=generator)


@caught_by(
    "annealing_leads_from_one_constant_to_the_other", "a transition does not leave f_beta invariant"
)
class WrongTransition(Energy):
    path_class = LazyPath


class ShortChainPath(LatticePath):
    """A chain that has not forgotten its start, given for an exact draw."""

    def end(self, n, *, generator):
        return self.transition(self.start(n, generator=generator), 1.0, generator=generator)


@caught_by("annealing_leads_back_from_exact_draws", "end does not draw from f_1 exactly")
class InexactEnd(Energy):
    path_class = ShortChainPath


@caught_by(
    "energy_sums_to_its_constant",
    "the energy and its constant belong to different distributions (they sum to 0.951",
)
class WrongConstant(Energy):
    """Without its visible biases, or whatever else is 0.05 nats."""

    def log_z(self) -> float:
        return super().log_z() + 0.05


@caught_by("energy_has_a_row_per_draw", "must be of shape (k, B)")
class EnergyWithoutDraws(Energy):
    def log_unnormalised(self, x, k=1, *, generator):
        return -self.free_energy(x.flatten(1))


@caught_by(
    "embedding_counts_its_jacobian", "what it returns is not what automatic differentiation finds"
)
class EmbeddingWithoutJacobian(Gaussian):
    def embed(self, x, *, generator=None):
        z, log_det = super().embed(x)
        return z, log_det + (self.scale.log().sum() if generator is not None else 0.0)


@caught_by("velocity_has_the_shape_of_its_point", "(2,) at points of (7, 2)")
class VelocityOfTheBatch(Gaussian):
    def velocity(self, z, t, label=None):
        return torch.zeros_like(z).mean(0)


@caught_by("velocity_of_a_point_ignores_its_batch", "something is computed over the batch")
class VelocityAroundTheMean(Gaussian):
    """The batch is centred, as a normalisation without running averages would do."""

    def velocity(self, z, t, label=None):
        return 0.1 * (z - z.mean(0))


@caught_by("flow_sums_to_one", "not differentiable in all of its dependence on z")
class HalfDifferentiableVelocity(Gaussian):
    """A factor of the velocity is cut off from z, so its divergence is not that of the flow."""

    def velocity(self, z, t, label=None):
        return 0.5 * z * z.detach().cos()


@caught_by("flow_sums_to_one", "a constant of the base is wrong")
class BaseWithoutConstant(Gaussian):
    """log p_base without D/2 log 2π."""

    def base_log_prob(self, z: Tensor) -> Tensor:
        return -z.square().sum(1) / 2

    def log_prob(self, x: Tensor) -> Tensor:
        return super().log_prob(x) - self.spec.size * np.log(2 * np.pi) / 2


@caught_by("flow_sums_to_one", "the scale that embed returns")
class DequantisedWithoutScale(Dequantised):
    """(k + u) / levels, whose scale is forgotten."""

    def embed(self, x, *, generator):
        z, log_scale = super().embed(x, generator=generator)
        return z, torch.zeros_like(log_scale)


@caught_by("reconstructions_have_the_shape_of_the_data", "(1, 4) for data of (1, 1, 2, 2)")
class FlatReconstructions(Latent):
    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z).flatten(1)

    def sample(self, n, *, label=None, generator):
        return super().sample(n, generator=generator).unflatten(1, self.spec.shape)


@caught_by("codes_leave_global_randomness_alone", "encode and decode must draw nothing")
class DrawnCodes(Latent):
    """A draw from the encoder's distribution instead of its mean."""

    def encode(self, x: Tensor) -> Tensor:
        mean, log_sd = self.encoder(x.flatten(1)).chunk(2, -1)
        return mean + log_sd.exp() * torch.randn_like(mean)


@caught_by("codes_of_a_datum_ignore_their_batch", "batch normalisation, centring) (codes differ)")
class CentredCodes(Bottleneck):
    def encode(self, x: Tensor) -> Tensor:
        return super().encode(x - x.mean(0))


@caught_by("codes_of_a_datum_ignore_their_batch", "1 codes of 16 data")
class OneCodeForAll(Latent):
    def encode(self, x: Tensor) -> Tensor:
        return super().encode(x)[:1]


@caught_by("codes_tell_data_apart", "all of them have one and the same code")
class SilentCodes(Latent):
    def encode(self, x: Tensor) -> Tensor:
        return 0 * super().encode(x)


@caught_by("reconstructions_of_bits_are_probabilities", "a probability in [0, 1]: not its logit")
class DecodedLogits(Latent):
    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).unflatten(1, self.spec.shape)

    def sample(self, n, *, label=None, generator):
        p = self.decode(torch.randn(n, self.codes, generator=generator)).sigmoid()
        return torch.bernoulli(p, generator=generator)


@caught_by("reconstructions_are_nearer_than_the_mean", "in the units of the data")
class DoubledReconstructions(Bottleneck):
    """In other units than the data: the factor of a standardisation is forgotten."""

    def decode(self, z: Tensor) -> Tensor:
        return 2 * super().decode(z)

    def loss(self, batch: Batch) -> Tensor:
        return (batch.x - self.decode(self.encode(batch.x)) / 2).square().sum() / len(batch.x)


# ------------------------------------------------------------------------------------------------- labels


@caught_by(
    "posterior_is_a_distribution_over_labels", "normalise over the classes, with log_softmax"
)
class LogitsForProbabilities(Softmax):
    def log_posterior(self, x, *, generator):
        return self.logits(x)


@caught_by("posterior_is_a_distribution_over_labels", "subtracting their logsumexp")
class JointForPosterior(NaiveBayes):
    """log p(x, label), not divided by p(x)."""

    def log_posterior(self, x, *, generator):
        return self.each(x) + self.prior


@caught_by("posterior_of_a_datum_ignores_its_batch", "something is computed over the batch")
class PosteriorOfTheCentredBatch(Softmax):
    def log_posterior(self, x, *, generator):
        return super().log_posterior(x - x.mean(0), generator=generator)


@caught_by("posterior_of_a_datum_ignores_its_batch", "on its place there")
class NoisyPosteriorByPlace(NoisyPosterior):
    """The second half of the batch is told less well."""

    def log_posterior(self, x, *, generator):
        log_p = super().log_posterior(x, generator=generator)
        log_p[len(x) // 2 :] = (log_p[len(x) // 2 :] / 2).log_softmax(1)
        return log_p


@caught_by(
    "log_posterior_leaves_global_randomness_alone",
    "log_posterior must draw from its generator alone",
)
class GlobalPosterior(NoisyPosterior):
    def log_posterior(self, x, *, generator):
        return super().log_posterior(x, generator=torch.default_generator)


@caught_by(
    "posterior_knows_more_than_the_frequencies", "look for a sign, or the order of the classes"
)
class ClassesInReverse(Softmax):
    def log_posterior(self, x, *, generator):
        return super().log_posterior(x, generator=generator).flip(1)


@caught_by("posterior_knows_more_than_the_frequencies", "look for a sign")
class EnergyForItsNegative(Softmax):
    def log_posterior(self, x, *, generator):
        return (-self.logits(x)).log_softmax(1)


@caught_by("samples_given_a_label_follow_it", "look for the order of the classes")
class SamplesOfTheNextLabel(NaiveBayes):
    def sample(self, n, *, label=None, generator):
        other = None if label is None else (label + 1) % self.spec.classes
        return super().sample(n, label=other, generator=generator)


@caught_by("posterior_follows_from_the_likelihood", "must be the same p(label) for all data")
class PosteriorWithoutPrior(NaiveBayes):
    """Every class as frequent as any other."""

    def log_posterior(self, x, *, generator):
        return self.each(x).log_softmax(1)


@caught_by("posterior_follows_from_the_likelihood", "must be the same p(label) for all data")
class PosteriorSquared(NaiveBayes):
    """A temperature that the likelihood knows nothing of."""

    def log_posterior(self, x, *, generator):
        return (2 * (self.each(x) + self.prior)).log_softmax(1)


# ----------------------------------------------------------------------------- sizes, precision, resume


@caught_by("odd_sizes_are_taken_or_refused", "1 data of 1: samples have the shape (1, 1, 1, 1)")
class SquaresOnly(Factorised):
    """Takes every picture for a square one, and tables for pictures."""

    def sample(self, n, *, label=None, generator):
        side = int(self.spec.size**0.5)
        return super().sample(n, generator=generator).view(n, 1, side, side)


@caught_by("odd_sizes_are_taken_or_refused", "1 data of 1: the likelihoods have the shape ()")
class LonelyDatum(Factorised):
    """One datum loses its dimension of the batch."""

    def log_likelihood(self, x, *, label=None, generator):
        found = super().log_likelihood(x, generator=generator)
        return replace(found, nats=found.nats.squeeze())


@caught_by("double_precision_gives_the_same_likelihood", "a tensor is made with a fixed dtype")
class SinglePrecision(Mixture):
    """A table of its own in float32, whatever the model is in."""

    supports = BITS

    def log_likelihood(self, x, *, label=None, generator):
        nats = super().log_likelihood(x, generator=generator).nats
        return mass(nats + x.flatten(1) @ torch.zeros(self.spec.size))


@caught_by("loss_is_finite_in_bfloat16", "with autocast disabled (the loss of stage fit is inf)")
class LogOfADifference(Factorised):
    """In bfloat16 numbers near one are one, and what is left of them nothing."""

    def loss(self, batch: Batch) -> Tensor:
        weight = torch.full((8, 8), 1 / 8 + 1e-4)
        near_one = (weight @ torch.ones(8, 1)).mean()
        return super().loss(batch) + 1e-6 * (near_one - 1).log() * self.theta.mean()


@caught_by(
    "resumed_training_is_bit_identical", "neither a parameter, a persistent buffer, rank_state"
)
class ForgetfulChain(Factorised):
    """Its noise goes on from a state that no checkpoint holds."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.noise = torch.Generator().manual_seed(0)

    def loss(self, batch: Batch) -> Tensor:
        noise = torch.randn(self.theta.shape, generator=self.noise)
        return super().loss(batch) + 0.1 * (noise * self.theta).mean()

    def __deepcopy__(self, memo):
        twin = type(self)(self.spec)
        twin.load_state_dict(self.state_dict())
        return twin.eval()
