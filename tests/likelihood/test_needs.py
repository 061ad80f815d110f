"""A model is asked for what it can give, and says what it can give instead."""

import pytest
import torch

from genlab.contracts import DataSpec, Guarantee, HasImportanceWeights, UsageError
from genlab.likelihood import Elbo, Exact, auto
from genlab.likelihood.needs import NEEDS
from genlab.options import options
from tests.testing.honest import Energy, Factorised, Latent, PriorWeighted

BITS = DataSpec("bits", "fixed", (1, 2, 2), "binary")


def test_every_estimator_is_an_option_and_the_other_way_round():
    assert {option.name for option in options("likelihood")} == {*NEEDS, "auto"}


def test_a_bound_is_not_called_exact():
    with pytest.raises(UsageError, match=r"exact needs HasLikelihood .* likelihood=iwae or .*elbo"):
        Exact(Latent(BITS))


def test_an_exact_number_needs_no_bound():
    with pytest.raises(UsageError, match="which Factorised on bits lacks: likelihood=exact"):
        Elbo(Factorised(BITS))


@pytest.mark.parametrize(
    ("model", "name"), [(Factorised, "exact"), (Energy, "enumerate"), (Latent, "iwae")]
)
def test_auto_takes_the_number_that_can_be_trusted_most(model, name):
    assert auto(model(BITS)).name == name


def test_elbo_is_the_logarithm_of_one_weight():
    model, x = PriorWeighted(BITS), torch.ones(3, 1, 2, 2)
    elbo = Elbo(model)(x, generator=torch.Generator().manual_seed(1)).nats
    weight = model.log_weights(x, 1, generator=torch.Generator().manual_seed(1))[0]
    assert torch.equal(elbo, weight)


class Both(Factorised, HasImportanceWeights):
    """An exact model that has importance weights too, of which any one is a bound."""

    def log_weights(self, x, k, *, label=None, generator):
        noise = torch.rand(k, len(x), generator=generator)
        return self.log_prob(x) + (2 * noise).log()


def test_elbo_of_an_exact_model_is_a_bound_all_the_same():
    result = Elbo(Both(BITS))(torch.ones(3, 1, 2, 2), generator=torch.Generator().manual_seed(1))
    assert result.guarantee is Guarantee.LOWER_BOUND
    assert result.method == "ELBO"
