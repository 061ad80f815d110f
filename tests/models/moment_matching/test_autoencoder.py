"""GMMN+AE: greedy layers, dropout where it belongs, and matching of codes that stand still."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.contracts import (
    Batch,
    DataSpec,
    HasEncoder,
    HasImportanceWeights,
    Support,
    UnsupportedData,
    UsageError,
)
from genlab.models.moment_matching import gmmn_ae
from genlab.nn.mmd import mmd2
from genlab.randomness import generator, scope

BITS = DataSpec("bits", "fixed", (1, 3, 3), Support.BINARY)
GREYS = DataSpec("greys", "5 levels", (1, 3, 3), Support.LEVELS, levels=5)
PLANE = DataSpec("plane", "standardised", (2,), Support.REAL)
SPECS = pytest.mark.parametrize("spec", [BITS, GREYS], ids=lambda spec: spec.name)


def small(spec: DataSpec, **options):
    with scope("small"):
        return gmmn_ae(spec, **({"hidden": (16,), "encoder": (12, 4)} | options))


def some_data(spec: DataSpec, n: int) -> Batch:
    x = torch.rand(n, *spec.shape, generator=generator("data"))
    assert spec.levels is not None
    return Batch((x * (spec.levels - 1)).round() / (spec.levels - 1))


def stage(model, name: str):
    return next(stage for stage in model.stages() if stage.name == name)


def trained(model) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


# ---------------------------------------------------------------------------------------------- stages


def test_each_stage_trains_its_own_part_and_all_of_it():
    model = small(GREYS)
    parts = {
        "pretrain1": {"autoencoder.encoder.0.1", "autoencoder.decoder.1"},
        "pretrain2": {"autoencoder.encoder.1.1", "autoencoder.decoder.0"},
        "finetune": {
            "autoencoder.encoder.0.1",
            "autoencoder.encoder.1.1",
            "autoencoder.decoder.0",
            "autoencoder.decoder.1",
        },
        "match": {"generator.0", "generator.2"},
    }
    assert [s.name for s in model.stages()] == list(parts)
    for each in model.stages():
        model.enter(each)
        expected = {f"{layer}.{kind}" for layer in parts[each.name] for kind in ("weight", "bias")}
        assert trained(model) == expected
        model.zero_grad()
        each.loss(some_data(GREYS, 20)).backward()
        got = {name for name, p in model.named_parameters() if p.grad is not None}
        assert got == expected, "plain DDP waits for every trained parameter at every step"


def test_a_stage_for_every_layer():
    model = small(GREYS, encoder=(12, 8, 4), dropout=(0.1, 0.1, 0.1))
    names = [s.name for s in model.stages()]
    assert names == ["pretrain1", "pretrain2", "pretrain3", "finetune", "match"]
    sizes = [(layer.in_features, layer.out_features) for layer in model.autoencoder.decoder]
    assert sizes == [(4, 8), (8, 12), (12, 9)]


def test_a_layer_learns_to_undo_itself():
    """Layer 2 reconstructs the units of layer 1, found without dropout."""
    model, batch = small(GREYS), some_data(GREYS, 20)
    model.eval()
    ae = model.autoencoder
    below = ae.encoder[0][1](batch.x.flatten(1)).sigmoid()
    again = ae.decoder[0](ae.encoder[1][1](below).sigmoid()).sigmoid()
    expected = F.binary_cross_entropy(again, below, reduction="none").sum(1)
    found = stage(model, "pretrain2").validate(batch)["cross_entropy"]
    torch.testing.assert_close(found, expected)
    model.enter(stage(model, "pretrain2"))
    assert not ae.encoder[0].training
    assert ae.encoder[1].training


def test_dropout_is_on_in_the_auto_encoders_stages_and_off_in_matching():
    model, batch = small(GREYS, dropout=(0.2, 0.5)), some_data(GREYS, 20)

    def twice(name: str) -> tuple[Tensor, Tensor]:
        model.enter(stage(model, name))
        return model.encode(batch.x), model.encode(batch.x)

    assert not torch.equal(*twice("pretrain1"))
    assert not torch.equal(*twice("finetune"))
    assert torch.equal(*twice("match"))
    codes = model.codes_of(batch.x)
    assert not codes.requires_grad
    assert not model.autoencoder.training


@SPECS
def test_codes_are_matched_with_codes(spec):
    model, batch = small(spec), some_data(spec, 20)
    match = stage(model, "match")
    model.enter(match)
    match.begin(batch)
    with scope("loss"):
        loss = match.loss(batch).item()
    with scope("loss"):
        z = torch.rand(20, 10) * 2 - 1
    h, codes = model.generator(z).sigmoid(), model.encode(batch.x)
    assert loss == pytest.approx(mmd2(h, codes, model.mmd.kernel).sqrt().item(), rel=1e-5)
    with scope("loss"):
        each = match.validate(batch)["mmd2"]
    with scope("loss"):
        h = model.generator(torch.rand(1000, 10) * 2 - 1).sigmoid()
    unbiased = mmd2(h, codes, model.mmd.kernel, unbiased=True).item()
    assert each.mean().item() == pytest.approx(unbiased, abs=1e-6)


@SPECS
def test_samples_are_decoded_codes(spec):
    model = small(spec).eval()
    x = model.sample(30, generator=generator("samples"))
    z = torch.rand(30, 10, generator=generator("samples")) * 2 - 1
    means = model.decode(model.generator(z).sigmoid())
    assert spec.contains(x)
    if spec is GREYS:
        assert torch.equal(x, (means * 4).round() / 4)
    assert means.shape == (30, 1, 3, 3)


def test_capabilities_follow_the_support():
    assert isinstance(small(GREYS), HasEncoder)
    assert not isinstance(small(GREYS), HasImportanceWeights)
    assert isinstance(small(BITS), HasImportanceWeights)


def test_weights_are_those_of_the_decoded_bits():
    model, batch = small(BITS).eval(), some_data(BITS, 5)
    with torch.no_grad():
        found = model.log_weights(batch.x, 40, generator=generator("weights"))
        z = torch.rand(40, 10, generator=generator("weights")) * 2 - 1
        p = model.decode(model.generator(z).sigmoid())
    expected = torch.where(batch.x.bool(), p[:, None], 1 - p[:, None]).log().flatten(2).sum(2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_reconstruction_errors_are_per_datum():
    model, batch = small(GREYS).eval(), some_data(GREYS, 6)
    errors = stage(model, "finetune").validate(batch)
    again = model.decode(model.encode(batch.x))
    squared = (again - batch.x).square().flatten(1).sum(1)
    torch.testing.assert_close(errors["squared_error"], squared)
    entropy = F.binary_cross_entropy(again, batch.x, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(errors["cross_entropy"], entropy)
    assert next(iter(errors)) == "cross_entropy", "the first is monitored"


def test_figures():
    model, batch = small(GREYS).eval(), some_data(GREYS, 64)
    figures = {f.name: f.content for f in model.figures(batch, generator=generator("figures"))}
    assert list(figures) == ["noise-interpolations", "reconstructions", "code-interpolations"]
    again = model.decode(model.encode(batch.x))
    shown = figures["reconstructions"].pixels
    assert shown.shape == (4, 8, 1, 3, 3)
    assert torch.equal(shown[2], batch.x[8:16])
    torch.testing.assert_close(shown[3], again[8:16])
    ways = figures["code-interpolations"].pixels
    torch.testing.assert_close(ways[:, 0], again[:8])
    torch.testing.assert_close(ways[:, -1], again[8:16])


# ------------------------------------------------------------------------------------------- bad input


def test_refuses_reals():
    with pytest.raises(UnsupportedData, match="takes BINARY or LEVELS data; plane is REAL"):
        gmmn_ae(PLANE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encoder": ()}, r"^encoder=\[\]"),
        ({"encoder": (8, 0)}, r"^encoder=\[8, 0\]"),
        ({"dropout": (0.5,)}, r"^dropout=\[0.5\].*2 layers of encoder"),
        ({"dropout": (0.5, 1.0)}, "^dropout="),
        ({"noise": 0}, "^noise=0 must be at least 1"),
    ],
)
def test_refuses_options_that_do_not_fit(options, words):
    with pytest.raises(UsageError, match=words):
        small(GREYS, **options)
