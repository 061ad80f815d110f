"""Importance weighting against a model whose likelihood is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from genlab.contracts import (
    DataSpec,
    GenerativeModel,
    Guarantee,
    HasImportanceWeights,
    Measure,
    Support,
    UsageError,
)
from genlab.likelihood import ImportanceWeighted, auto
from genlab.likelihood.importance import average_weights
from tests.testing.honest import Factorised, Latent

PLANE = DataSpec("plane", "standardised", (5,), Support.REAL)


class LinearGaussian(GenerativeModel, HasImportanceWeights):
    """x = Az + b + σε, z ~ N(0, I): probabilistic PCA, in float64.

    q(z | x) is the posterior, its standard deviations times ``spread``; at 1 every weight is p(x).
    """

    def __init__(self, spec: DataSpec = PLANE, spread: float = 1.0) -> None:
        super().__init__(spec)
        generator = torch.Generator().manual_seed(0)
        self.a = torch.randn(spec.size, 2, generator=generator, dtype=torch.float64)
        self.b = torch.randn(spec.size, generator=generator, dtype=torch.float64)
        self.sigma, self.spread = 0.5, spread

    def loss(self, batch):
        raise NotImplementedError

    def sample(self, n, *, label=None, generator):
        raise NotImplementedError

    def marginal(self):
        cov = self.a @ self.a.T + self.sigma**2 * torch.eye(len(self.a))
        return torch.distributions.MultivariateNormal(self.b, cov)

    def log_weights(self, x, k, *, label=None, generator):
        precision = torch.eye(2) + self.a.T @ self.a / self.sigma**2
        mean = (x - self.b) @ self.a @ precision.inverse() / self.sigma**2
        root = torch.linalg.cholesky(precision.inverse()) * self.spread
        noise = torch.randn(k, len(x), 2, generator=generator, dtype=torch.float64)
        z = mean + noise @ root.T
        q = torch.distributions.MultivariateNormal(mean, scale_tril=root)
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
        given = torch.distributions.Normal(z @ self.a.T + self.b, self.sigma).log_prob(x).sum(-1)
        return prior + given - q.log_prob(z)


X = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("k", "chunk"), [(1, 50), (7, 3), (7, 100), (50, 50), (120, 50)])
def test_optimal_proposal_gives_the_exact_value_for_every_k(k, chunk):
    model = LinearGaussian()
    result = ImportanceWeighted(model, k=k, chunk=chunk)(X, generator=noise())
    exact = model.marginal().log_prob(X)
    assert torch.allclose(result.nats, exact, atol=1e-5)
    assert torch.allclose(result.diagnostics["elbo"], exact, atol=1e-5)
    assert torch.allclose(result.diagnostics["ess"], torch.ones(6).double(), atol=1e-5)
    assert result.guarantee is Guarantee.LOWER_BOUND
    assert result.measure is Measure.DENSITY


def test_bound_rises_with_k_to_the_exact_value():
    model = LinearGaussian(spread=1.6)
    x, means = X.repeat(300, 1), {}
    for k in (1, 10, 100, 1000):
        means[k] = ImportanceWeighted(model, k=k)(x, generator=noise()).nats.mean().item()
    exact = model.marginal().log_prob(X).mean().item()
    assert means[1] < means[10] - 0.1 < means[100] - 0.1 < exact
    assert means[100] < means[1000]
    assert means[1000] == pytest.approx(exact, abs=0.005)


def test_mean_weight_is_unbiased():
    model = LinearGaussian(spread=1.6)
    nats = ImportanceWeighted(model, k=5, chunk=2)(X.repeat(3000, 1), generator=noise()).nats
    ratios = (nats.view(3000, -1) - model.marginal().log_prob(X)).exp().mean(1)
    error = ratios.std() / len(ratios) ** 0.5
    assert abs(ratios.mean() - 1) < 3 * error
    assert error < 0.01


def test_bound_of_a_trained_decoder_rises_too():
    model = Latent(DataSpec("bits", "made up", (1, 2, 2), Support.BINARY))
    x = torch.randint(2, (500, 1, 2, 2), generator=noise()).float()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=noise(1)))
    found = [ImportanceWeighted(model, k)(x, generator=noise()).nats.mean() for k in (1, 10, 300)]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("chunk", [1, 3, 8, 9])
def test_running_sums_do_not_depend_on_the_chunk(chunk):
    log_w = torch.randn(8, 4, generator=noise()) * 400 + torch.tensor([0.0, 800, -2000, 5])
    rows = iter(log_w)
    found = average_weights(
        lambda n: torch.stack([next(rows) for _ in range(n)]), 8, chunk, lower=""
    )
    w = log_w.double()
    assert torch.allclose(found.log_mean, w.logsumexp(0) - math.log(8))
    assert torch.allclose(found.mean_log, w.mean(0))
    p = w.softmax(0)
    assert torch.allclose(found.ess, 1 / p.square().sum(0) / 8)
    assert found.log_mean.dtype == torch.float64


@pytest.mark.parametrize("key", ["k", "chunk"])
def test_settings_below_one_are_refused(key):
    with pytest.raises(UsageError, match=f"^{key}=0 must be at least 1"):
        ImportanceWeighted(LinearGaussian(), **{key: 0})


def test_model_without_weights_is_refused():
    bits = DataSpec("bits", "made up", (4,), Support.BINARY)
    with pytest.raises(UsageError, match="needs HasImportanceWeights, which Factorised"):
        ImportanceWeighted(Factorised(bits))


def test_auto_takes_weights_before_a_bound():
    bits = DataSpec("bits", "made up", (4,), Support.BINARY)
    assert auto(Latent(bits)).settings == {"k": 1000, "chunk": 50}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_what_does_not_fit_is_told_with_its_setting(error):
    class Wide(LinearGaussian):
        def log_weights(self, x, k, *, label=None, generator):
            raise error

    with pytest.raises(
        UsageError, match=r"50 draws .* do not fit into memory: lower likelihood\.chunk"
    ):
        ImportanceWeighted(Wide())(X, generator=noise())


def test_other_errors_are_not_taken_for_lack_of_memory():
    class Broken(LinearGaussian):
        def log_weights(self, x, k, *, label=None, generator):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        ImportanceWeighted(Broken())(X, generator=noise())
