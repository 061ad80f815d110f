import pytest
import torch

from genlab.contracts import UsageError
from genlab.nn.embedding import FourierFeatures
from genlab.nn.mlp import MLP


def test_layers_and_dropout_are_where_they_were_asked_for():
    mlp = MLP(3, (5, 7), 2, activation="tanh", dropout=0.5)
    assert [type(layer).__name__ for layer in mlp] == [
        *["Linear", "Tanh", "Dropout"] * 2,
        "Linear",
    ]
    assert mlp(torch.zeros(4, 3)).shape == (4, 2)


def test_normalisation_stands_before_the_nonlinearity():
    mlp = MLP(3, (5,), 2, dropout=0.5, normalise=True)
    assert [type(layer).__name__ for layer in mlp] == [
        *["Linear", "BatchNorm", "ReLU", "Dropout"],
        "Linear",
    ]
    x = 3 + 2 * torch.randn(4000, 3)
    normalised = mlp[1](mlp[0](x))
    torch.testing.assert_close(normalised.mean(0), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(normalised.var(0, correction=0), torch.ones(5), atol=1e-3, rtol=0)


def test_a_batch_of_one_is_normalised_by_the_running_statistics():
    """It has no variance: torch refuses it in training."""
    mlp = MLP(3, (5,), 2, normalise=True)
    for _ in range(200):
        mlp(3 + 2 * torch.randn(100, 3))
    x = torch.randn(1, 3)
    before = [buffer.clone() for buffer in mlp.buffers()]
    alone = mlp(x)
    assert all(torch.equal(a, b) for a, b in zip(before, mlp.buffers(), strict=True))
    torch.testing.assert_close(alone, mlp.eval()(x))
    assert alone.requires_grad


def test_an_unknown_activation_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match=r"activation=rleu.*relu.*tanh"):
        MLP(3, (5,), 2, activation="rleu")


def test_fourier_features_are_sines_and_cosines_of_the_named_frequencies():
    features = FourierFeatures(3, lowest=0.5, highest=2.0)
    u = torch.tensor([0.3, -4.0])
    phases = u[:, None] * torch.tensor([0.5, 1.0, 2.0])
    torch.testing.assert_close(features(u), torch.cat([phases.sin(), phases.cos()], 1))
