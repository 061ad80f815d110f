"""Labels told: a posterior over the classes, and what it must agree with."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from genlab.contracts import Classifies, HasLikelihood, UsageError
from genlab.testing.check import Skip, check, expect
from genlab.testing.checks.batches import expect_equal_means
from genlab.testing.statistics import SIGNIFICANT, g_test
from genlab.testing.subject import Subject

CLOSE = 1e-4
SURE = 1e-6  # states less probable than this are not compared: their logarithms are rounded


def need_labels(s: Subject) -> None:
    if not s.space.spec.classes:
        raise Skip("the data have no classes")
    if not s.model.classifies:
        raise Skip("the model was built without labels")


@check(
    "log_posterior must return log-probabilities (B, classes), each row summing to one: normalise over the"
    " classes, with log_softmax or by subtracting their logsumexp",
    needs=Classifies,
)
def posterior_is_a_distribution_over_labels(s: Subject) -> None:
    need_labels(s)
    for n in (1, 7):
        log_p = s.model.log_posterior(s.data(n).x, generator=s.generator("posterior", n))
        wanted = (n, s.space.spec.classes)
        expect(tuple(log_p.shape) == wanted, f"shape {tuple(log_p.shape)}, not {wanted}")
        expect(log_p.is_floating_point(), f"it is of {log_p.dtype}")
        total = log_p.double().exp().sum(1)
        worst = float((total - 1).abs().max())
        expect(worst < CLOSE, f"a row sums to {float(total[(total - 1).abs().argmax()]):.6f}")


@check(
    "the posterior of a datum depends on its batch, or on its place there: something is computed over the"
    " batch (batch normalisation, a softmax over the wrong dimension)",
    needs=Classifies,
)
def posterior_of_a_datum_ignores_its_batch(s: Subject) -> None:
    need_labels(s)
    x = s.distinct(16)
    a, b = (_posterior(s, x, "batch", i) for i in range(2))
    if torch.equal(a, b):
        alone = torch.cat([_posterior(s, row[None], "alone") for row in x])
        worst = float((a.exp() - alone.exp()).abs().max())
        expect(worst < CLOSE, f"probabilities differ by up to {worst:.3g}")
        return

    def first(rows: Tensor, generator: Generator) -> Tensor:
        return s.model.log_posterior(rows, generator=generator)[:, 0]

    expect_equal_means(s, "posterior", first)


@check(
    "after training, −log p(label | x) is no better than that of the labels' frequencies: look for a sign,"
    " or the order of the classes; or train longer (train_steps)",
    needs=Classifies,
)
def posterior_knows_more_than_the_frequencies(s: Subject) -> None:
    need_labels(s)
    batch = s.data(512)
    assert batch.label is not None
    log_p = _posterior(s, batch.x, "knows")
    nll = float(-log_p.gather(1, batch.label[:, None]).mean())
    frequency = batch.label.bincount(minlength=s.space.spec.classes).double() / len(batch.x)
    entropy = float(-torch.special.xlogy(frequency, frequency).sum())
    expect(nll < entropy, f"{nll:.3f} nats, and {entropy:.3f} by their frequencies")


@check(
    "the posterior does not follow from the likelihood: p(label | x) / p(x | label) · p(x) must be the same"
    " p(label) for all data, and these must sum to one",
    needs=Classifies,
    enumerable=True,
)
def posterior_follows_from_the_likelihood(s: Subject) -> None:
    need_labels(s)
    log_p, given = _likelihoods(s)
    posterior = _posterior(s, s.space.states, "Bayes").double()
    sure = (given.exp() * s.space.volume > SURE) & (log_p.exp() * s.space.volume > SURE)[:, None]
    prior = (posterior - given + log_p[:, None]).exp()
    for label in range(s.space.spec.classes):
        values = prior[sure[:, label], label]
        low, high = float(values.min()), float(values.max())
        expect(high - low < 10 * CLOSE, f"p({label}) between {low:.4f} and {high:.4f}")
    total = sum(float(prior[sure[:, k], k].mean()) for k in range(s.space.spec.classes))
    expect(abs(total - 1) < 10 * CLOSE, f"they sum to {total:.4f}")


@check(
    "samples given a label do not follow p(x | label) of the likelihood: look for the order of the classes,"
    " or a label that is read and not used",
    needs=Classifies,
    enumerable=True,
)
def samples_given_a_label_follow_it(s: Subject) -> None:
    need_labels(s)
    _, given = _likelihoods(s)
    for label in range(s.space.spec.classes):
        labels = torch.full((s.draws,), label)
        try:
            x = s.model.sample(len(labels), label=labels, generator=s.generator("given", label))
        except UsageError:
            raise Skip("sample takes no labels") from None
        p = g_test(s.space.counts(x), s.distribution(given[:, label]))
        expect(p > SIGNIFICANT, f"G-test of {s.draws} samples given label {label}: p = {p:.1g}")


def _likelihoods(s: Subject) -> tuple[Tensor, Tensor]:
    """log p(x) (S,) and log p(x | label) (S, classes) of the states, where both are claimed to be exact."""
    if not (isinstance(s.model, HasLikelihood) and s.exact):
        raise Skip("the model claims no exact likelihood")
    columns = []
    for label in range(s.space.spec.classes):
        labels = torch.full((len(s.space.states),), label)
        try:
            result = s.model.log_likelihood(
                s.space.states, label=labels, generator=s.generator("given", label)
            )
        except UsageError:
            raise Skip("the likelihood takes no labels") from None
        if result.given != "label":
            raise Skip("the likelihood takes no labels")
        columns.append(result.nats.double())
    return s.log_p, torch.stack(columns, 1)


def _posterior(s: Subject, x: Tensor, *parts: str | int) -> Tensor:
    return s.model.log_posterior(x.clone(), generator=s.generator("posterior", *parts))
