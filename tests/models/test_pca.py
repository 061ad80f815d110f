"""Principal components: closed form, an independent reference, and a number of the literature."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from sklearn import decomposition

import genlab
from genlab.contracts import Batch, DataSpec, Support, UnsupportedData, UsageError
from genlab.data import digits
from genlab.models.pca import PCA

PLANE = DataSpec("plane", "made up", (2,), Support.REAL)


def solved(spec: DataSpec, x: torch.Tensor, components: int) -> PCA:
    model = PCA(spec, components)
    with torch.no_grad():
        model.solve([Batch(part) for part in x.split(100)])
    return model.eval()


def test_a_line_is_found_and_what_is_beside_it_is_lost():
    """x = t (3, 4) / 5 + s (−4, 3) / 5 with variances 4 and 1: the error is 1, the share 0.8."""
    t = torch.tensor([2.0, -2, 2, -2])
    s = torch.tensor([1.0, 1, -1, -1])
    x = torch.stack([(3 * t - 4 * s) / 5 + 7, (4 * t + 3 * s) / 5], 1)
    model = solved(PLANE, x, 1)
    assert model.components[0].tolist() == pytest.approx([0.6, 0.8])
    assert model.mean.tolist() == pytest.approx([7, 0], abs=1e-6)
    assert model.encode(x).squeeze(1).tolist() == pytest.approx(t.tolist(), abs=1e-5)
    assert model.validate(Batch(x))["reconstruction"].tolist() == pytest.approx([1.0] * 4)
    assert float(model.share) == pytest.approx(0.8)


def test_codes_and_reconstructions_are_those_of_scikit_learn():
    data = digits()
    train, test = (data.dataset(s)[torch.arange(len(data.dataset(s)))].x for s in ("train", "test"))
    model = solved(data.spec, train, 10)
    reference = decomposition.PCA(10, svd_solver="full").fit(train.flatten(1).double().numpy())
    codes = reference.transform(test.flatten(1).double().numpy())
    found = model.encode(test).detach().double().numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(codes), atol=1e-4)
    back = reference.inverse_transform(codes)
    np.testing.assert_allclose(
        model.decode(model.encode(test)).flatten(1).detach(), back, atol=1e-4
    )
    assert float(model.share) == pytest.approx(reference.explained_variance_ratio_.sum(), rel=1e-5)


def test_all_components_lose_nothing():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    model = solved(PLANE, x, 2)
    torch.testing.assert_close(model.decode(model.encode(x)), x)


def test_bad_input_is_refused():
    with pytest.raises(UsageError, match="plane has 2 numbers in a datum, so there are 1 to 2"):
        PCA(PLANE, 3)
    with pytest.raises(UnsupportedData, match="takes LEVELS or REAL data"):
        PCA(DataSpec("bits", "made up", (4,), Support.BINARY), 1)
    with pytest.raises(UnsupportedData, match="at most 8192 numbers"):
        PCA(DataSpec("big", "made up", (3, 100, 100), Support.LEVELS, levels=256), 1)


@pytest.mark.skipif(
    not os.environ.get("GENLAB_DATA"),
    reason="GENLAB_DATA is unset: it names the folder of data files",
)
def test_mnist_has_the_error_of_the_literature(tmp_path):
    """13.87 for 30 components (Hinton & Salakhutdinov 2006, supporting material), pixels in [0, 1]."""
    words = ["model=pca", "data=mnist", f"folder={tmp_path}", "evaluate=[test]", "gallery=false"]
    (answers,) = genlab.train(*words).answers
    value = answers["values"]["squared_error"]
    assert value["mean"] == pytest.approx(13.87, abs=0.05)
    assert value["stderr"] == pytest.approx(0.05, abs=0.01)
    assert answers["floor"]["values"]["squared_error"] == pytest.approx(52.9, abs=0.1)
    assert answers["facts"] == {"code": 30}
