"""Networks that start from a stack of machines: what they compute, where they start, how they learn."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from genlab.contracts import Batch, DataSpec, Stage, Support, UnsupportedData, UsageError
from genlab.data import Threshold, digits
from genlab.models.boltzmann import (
    Contrastive,
    DeepAutoencoder,
    RestrictedBoltzmann,
    StackClassifier,
)
from genlab.models.boltzmann.chains import Reconstruction
from genlab.models.boltzmann.feedforward import adam, linear_maps
from genlab.randomness import scope
from genlab.runs import RunDirectory
from genlab.training import TrainerSettings, fit, load_checkpoint

GREYS = DataSpec("digits", "17 levels", (1, 8, 8), Support.LEVELS, levels=17, classes=10)
BITS = DataSpec("bits", "made up", (1, 2, 3), Support.BINARY, classes=4)
STARTS = ("pretrained", "random", "modern")


@pytest.fixture(autouse=True)
def _same_noise():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def greys(split: str = "train") -> Batch:
    data = digits()
    data.setup("fit")
    return data.dataset(split)[torch.arange(len(data.dataset(split)))]


def seen(spec: DataSpec, n: int = 9) -> Batch:
    x = torch.randint(0, spec.levels or 2, (n, *spec.shape)) / ((spec.levels or 2) - 1)
    return Batch(x, torch.randint(0, spec.classes, (n,)))


@torch.no_grad()
def scramble(model: nn.Module) -> None:
    """Machines far from where they started, seen from offsets that are not zero."""
    for machine in model.stack:  # type: ignore[union-attr]
        for parameter in machine.parameters():
            parameter.copy_(torch.randn_like(parameter))
        machine.centre(torch.rand_like(machine.visible), torch.rand_like(machine.hidden))


def learn(model: nn.Module, batch: Batch, stage: Stage, epochs: int, rate: float = 3e-3) -> None:
    """A few epochs of a stage, as a run would do them."""
    model.enter(stage)  # type: ignore[operator]
    if stage.begin:
        stage.begin(batch)
    optimizer = (stage.optimizer or partial(adam, rate))(list(stage.module.parameters()))
    for _ in range(epochs):
        for rows in torch.randperm(len(batch.x)).split(50):
            assert batch.label is not None
            optimizer.zero_grad()
            stage.loss(Batch(batch.x[rows], batch.label[rows])).backward()
            optimizer.step()


# ------------------------------------------------------------------------------- where networks start


def by_hand(machines: list[RestrictedBoltzmann], v: Tensor) -> tuple[list[Tensor], Tensor]:
    """Means of the hidden units, machine after machine, the last one Gaussian; and down again.

    log p(v, h) = (h − λ)ᵀ W (v − μ) + visibleᵀ v + hiddenᵀ h, entry by entry, in float64.
    """
    v, ups = v.double(), []
    for number, m in enumerate(machines, 1):
        z = (v - m.visible_offset.double()) @ m.weight.double().T + m.hidden.double()
        v = z if number == len(machines) else 1 / (1 + (-z).exp())
        ups.append(v)
    for m in reversed(machines):
        z = (v - m.hidden_offset.double()) @ m.weight.double() + m.visible.double()
        v = 1 / (1 + (-z).exp())
    return ups, v


@pytest.mark.parametrize("hidden", [(7, 5, 2), (4,)])
def test_unrolled_network_is_the_stack_up_and_down(hidden):
    model = DeepAutoencoder(BITS, hidden).eval()
    scramble(model)
    batch = seen(BITS)
    model.begin(batch)
    ups, back = by_hand(list(model.stack), batch.x.flatten(1))
    torch.testing.assert_close(model.encode(batch.x).double(), ups[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        model.decode(model.encode(batch.x)).flatten(1).double(), back, atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(model._before(batch.x).flatten(1).double(), back, atol=1e-5, rtol=0)


def test_first_pass_of_the_classifier_gives_the_means_of_the_stack():
    model = StackClassifier(BITS, (7, 5, 3), dropout=0.5).eval()
    scramble(model)
    batch = seen(BITS)
    model.begin(batch)
    v = batch.x.flatten(1)
    for depth, (width, part) in enumerate(((7, 3), (5, 6), (3, 9)), 1):
        means = model.stack.lift(v, depth, draw=False)
        assert means.shape == (9, width)
        torch.testing.assert_close(nn.Sequential(*list(model.network)[:part])(v), means)
    assert model.log_posterior(batch.x, generator=torch.Generator()).shape == (9, 4)


@pytest.mark.parametrize("build", [StackClassifier, DeepAutoencoder])
@pytest.mark.parametrize("start", STARTS)
def test_random_weights_are_those_of_their_papers(build, start):
    """Uniform in ±1/√n (Erhan et al. 2010), or normal with variance 2/n (He et al. 2015)."""
    model = build(GREYS, (400, 300), start=start)
    for layer in linear_maps(model.network):
        weight, n = layer.weight.detach(), layer.in_features
        assert not layer.bias.any()
        if start == "modern":
            assert float(weight.std()) == pytest.approx(math.sqrt(2 / n), rel=0.05)
            assert float(weight.abs().max()) > 2 / math.sqrt(n)
        else:
            assert float(weight.abs().max()) == pytest.approx(1 / math.sqrt(n), rel=0.02)
            assert float(weight.std()) == pytest.approx(1 / math.sqrt(3 * n), rel=0.05)
    kinds = {type(layer).__name__ for layer in model.network.modules()}
    assert ("BatchNorm" in kinds) == ("ReLU" in kinds) == (start == "modern")
    assert ("Sigmoid" in kinds) == (start != "modern")


def test_begin_leaves_random_weights_alone():
    for build in (StackClassifier, DeepAutoencoder):
        model = build(BITS, (5, 4), start="random")
        before = {k: v.clone() for k, v in model.state_dict().items()}
        model.begin(seen(BITS))
        assert len(model.stack) == 0
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("hidden", [(6,), (9, 2), (5, 8, 3)])
def test_codes_and_reconstructions_have_their_shapes_and_ranges(start, hidden):
    model = DeepAutoencoder(GREYS, hidden, start=start).eval()
    batch = seen(GREYS)
    codes = model.encode(batch.x)
    back = model.decode(100 * codes)
    assert codes.shape == (9, hidden[-1])
    assert back.shape == batch.x.shape
    assert 0 <= float(back.detach().min()) <= float(back.detach().max()) <= 1
    assert isinstance(list(model.encoder)[-1], nn.Linear), "codes are not bounded"


@pytest.mark.parametrize(
    ("hidden", "depth", "widths"),
    [((8,), 3, [8, 8, 8]), ((8, 6), 3, [8, 6, 8]), ((8, 6, 4), 2, [8, 6]), ((8, 6), None, [8, 6])],
)
def test_depth_goes_round_the_widths(hidden, depth, widths):
    model = StackClassifier(BITS, hidden, depth)
    assert [layer.out_features for layer in linear_maps(model.network)] == [*widths, 4]
    assert [machine.extra_repr() for machine in model.stack] == [
        f"{below} → {above}" for below, above in zip([6, *widths], widths, strict=False)
    ]


@torch.no_grad()
def test_a_plane_of_codes_is_drawn_where_the_codes_lie():
    model = DeepAutoencoder(GREYS, (9, 2)).eval()
    names = {f.name for f in model.figures(seen(GREYS), generator=torch.Generator())}
    assert names == {"codes", "atlas", "reconstructions", "interpolations", "filters"}
    pixels = model._atlas(torch.tensor([[-1.0, -2.0], [3.0, 5.0]])).content.pixels  # type: ignore[union-attr]
    corners = {(0, 0): (-1, 5), (0, -1): (3, 5), (-1, 0): (-1, -2), (-1, -1): (3, -2)}
    for (row, column), code in corners.items():
        expected = model.decode(torch.tensor([code]).float())[0]
        torch.testing.assert_close(pixels[row, column], expected, atol=1e-5, rtol=0)


# ---------------------------------------------------------------------------------------- how they learn


@pytest.mark.parametrize("build", [StackClassifier, DeepAutoencoder])
def test_each_stage_trains_one_machine_or_the_network(build):
    model = build(BITS, (7, 5, 3), sweeps=11)
    batch = seen(BITS, 40)
    stages = model.stages()
    assert [stage.name for stage in stages] == ["rbm1", "rbm2", "rbm3", "finetune"]
    assert [stage.max_epochs for stage in stages[:3]] == [11, 11, 11]
    for number, stage in enumerate(stages):
        where = "network." if stage.name == "finetune" else f"stack.{number}."
        before = {k: v.clone() for k, v in model.state_dict().items()}
        learn(model, batch, stage, 3)
        moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
        trained = {k for k, p in model.named_parameters() if p.requires_grad}
        assert all(k.startswith(where) for k in moved), stage.name
        assert trained <= moved, stage.name
        assert (stage.validate or model.validate)(batch).keys() == (
            {"squared_error", "cross_entropy"}
            if where == "network." and build is DeepAutoencoder
            else {"error", "cross_entropy"}
            if where == "network."
            else set()
        )


def test_encoder_and_decoder_go_apart_in_fine_tuning():
    model = DeepAutoencoder(BITS, (7, 3))
    scramble(model)
    model.begin(seen(BITS))
    up, down = linear_maps(model.encoder)[0], linear_maps(model.decoder)[-1]
    assert torch.equal(up.weight, down.weight.T)
    learn(model, seen(BITS, 40), model.stages()[-1], 3)
    assert not torch.allclose(up.weight, down.weight.T)


def test_pretraining_lowers_the_first_loss_and_what_follows():
    """Before any error signal the unrolled stack is better than the mean of the data, and after two
    epochs better than a network of random weights.
    """
    batch, losses = greys(), {}
    for start in ("pretrained", "random"):
        torch.manual_seed(0)
        model = DeepAutoencoder(GREYS, (64, 16), start=start, sweeps=15)
        *machines, finetune = model.stages()
        for stage in machines:
            learn(model, batch, stage, 15)
        finetune.begin(batch)
        first = float(model.loss(batch).detach())
        learn(model, batch, finetune, 2)
        losses[start] = first, float(model.loss(batch).detach())
    mean = batch.x.mean(0, keepdim=True)
    constant = nn.functional.binary_cross_entropy(mean.expand_as(batch.x), batch.x, reduction="sum")
    assert losses["pretrained"][0] < 0.85 * float(constant) / len(batch.x) < losses["random"][0]
    assert losses["pretrained"][1] < 0.9 * losses["random"][1]


def test_a_deep_stack_learns_from_where_pretraining_left_it():
    """Seven sigmoid layers: from random weights no gradient comes through them, and the classifier knows
    no more than the frequencies, log 10 nats.
    """
    batch, test, found = greys(), greys("val"), {}
    sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
    for start in STARTS:
        torch.manual_seed(0)
        model = StackClassifier(GREYS, (60,), 7, start)
        *machines, finetune = model.stages()
        for stage in machines:
            learn(model, batch, stage, 10)
        model.enter(finetune)
        finetune.begin(batch)
        optimizer = sgd(model.network.parameters())
        for _ in range(15):
            for rows in torch.randperm(len(batch.x)).split(50):
                optimizer.zero_grad()
                model.loss(Batch(batch.x[rows], batch.label[rows])).backward()
                optimizer.step()
        model.eval()
        found[start] = {k: float(v.detach().mean()) for k, v in model.validate(test).items()}
    assert found["random"]["cross_entropy"] == pytest.approx(math.log(10), abs=0.05)
    assert found["random"]["error"] > 0.8
    assert found["pretrained"]["error"] < 0.4
    assert found["modern"]["error"] < 0.1


@torch.no_grad()
def test_loss_is_what_is_validated_and_its_value_is_known():
    """With no weights every label has probability 1/C, and every pixel 1/2."""
    batch = seen(BITS)
    classifier, coder = (
        StackClassifier(BITS, (5,), start="random"),
        DeepAutoencoder(BITS, (5, 2), "random"),
    )
    for model in (classifier, coder):
        for parameter in model.parameters():
            parameter.data.zero_()
    assert float(classifier.loss(batch)) == pytest.approx(math.log(4), abs=1e-6)
    assert float(coder.loss(batch)) == pytest.approx(6 * math.log(2), abs=1e-5)
    found = coder.validate(batch)
    assert next(iter(found)) == "squared_error"
    assert found["squared_error"].tolist() == pytest.approx([6 * 0.25] * 9)
    found = classifier.validate(batch)
    assert next(iter(found)) == "error"
    assert torch.equal(found["error"].bool(), batch.label != 0)  # the first of equal outputs


def test_reconstructions_are_means_and_so_are_their_hidden_units_data():
    machine = RestrictedBoltzmann(6, 4)
    torch.nn.init.normal_(machine.weight)
    plain = machine.couplings()
    v = torch.rand(5, 6)
    z = plain.activation(v)
    torch.manual_seed(1)
    found = Reconstruction(2, None).negative(plain, v, z, machine.base)
    torch.manual_seed(1)
    first = plain.visible_mean(plain.hidden_units.draw(z.clone()))
    expected = plain.visible_mean(plain.hidden_given(first))
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, found.round())


def test_bits_against_greys_unlearn_the_weights():
    """The data are grey in the middle and always the same: means leave nothing to learn, but drawn bits
    have a variance that the data lack, and contrastive divergence pulls the weights towards zero.
    """
    pulls = {}
    for sampler in ("cd", "reconstruction"):
        torch.manual_seed(0)
        machine = RestrictedBoltzmann(20, 10)
        nn.init.normal_(machine.weight, std=0.2)
        teacher = Contrastive(machine, sampler, centred=False)
        v = torch.full((4000, 20), 0.5)
        machine.visible.data = -0.5 * machine.weight.detach().sum(0)  # E[v | E[h | v]] = v
        machine.hidden.data = -0.5 * machine.weight.detach().sum(1)
        teacher.loss(v).backward()
        gradient = machine.weight.grad
        assert gradient is not None
        weight = machine.weight.detach()
        pulls[sampler] = float((gradient * weight).sum() / weight.square().sum())
    assert pulls["cd"] > 5 * abs(pulls["reconstruction"])


# ---------------------------------------------------------------------------------------- as a run


def run_of(build, path: Path, stages: int | None = None, processes: int = 1):
    data = digits(preprocess=Threshold(8), batch_size=100)
    strategy = {"strategy": "ddp_fork", "devices": processes} if processes > 1 else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(data.spec)
    short = [replace(stage, max_epochs=2) for stage in model.stages()]
    settings = TrainerSettings(accelerator="cpu", **strategy)
    fit(model, data, short[:stages], RunDirectory(path), settings, seed=0)
    return load_checkpoint(RunDirectory(path).checkpoint(short[: stages or 9][-1].name, "last"))


BUILDS = [
    partial(StackClassifier, hidden=(20, 10), dropout=0.2),
    partial(StackClassifier, hidden=(20,), start="modern"),
    partial(DeepAutoencoder, hidden=(20, 4), learning=partial(Contrastive, sampler="pcd")),
]


@pytest.mark.parametrize("build", BUILDS)
def test_resumed_between_stages_ends_where_an_undisturbed_run_ends(build, tmp_path):
    whole = run_of(build, tmp_path / "a")
    run_of(build, tmp_path / "b", 1)
    resumed = run_of(build, tmp_path / "b")
    assert whole["state_dict"].keys() == resumed["state_dict"].keys()
    assert all(torch.equal(v, resumed["state_dict"][k]) for k, v in whole["state_dict"].items())


@pytest.mark.parametrize("build", [StackClassifier, DeepAutoencoder])
def test_chains_of_each_process_are_given_and_taken_back(build):
    first, second = (
        build(BITS, (5, 3), learning=partial(Contrastive, sampler="pcd")) for _ in "ab"
    )
    for stage in first.stages()[:2]:
        stage.loss(seen(BITS))
    chains = first.rank_state()
    assert [value.shape for value in chains.values()] == [(9, 6), (9, 5)]
    second.load_rank_state(chains)
    assert second.rank_state().keys() == chains.keys()
    assert all(torch.equal(v, chains[k]) for k, v in second.rank_state().items())


@pytest.mark.parametrize("build", [BUILDS[0], BUILDS[2]])
def test_two_processes_train_every_stage(build, tmp_path):
    """Under plain ddp, which fails where a parameter that it knows gets no gradient."""
    last = run_of(build, tmp_path, processes=2)
    assert last["genlab"]["world_size"] == 2
    assert all(v.isfinite().all() for v in last["state_dict"].values())


@pytest.mark.parametrize("build", [StackClassifier, DeepAutoencoder])
def test_machines_learn_in_float32_under_autocast(build):
    """Their data, the means of the machine below, are as exact as without."""
    model = build(BITS, (5, 3))
    for stage in model.stages()[:2]:
        losses = []
        for mixed in (False, True):
            with scope("autocast"), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                losses.append(stage.loss(seen(BITS)))
        assert torch.equal(*losses), stage.name


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (StackClassifier, {"hidden": ()}, r"^hidden=\[\] must be one or more numbers"),
        (DeepAutoencoder, {"hidden": (5, 0)}, r"^hidden=\[5, 0\].*at least 1"),
        (StackClassifier, {"depth": 0}, r"^depth=0 must be at least 1"),
        (StackClassifier, {"start": "he"}, r"^start=he: expected pretrained, random, modern"),
        (DeepAutoencoder, {"start": "relu"}, r"^start=relu: expected pretrained"),
        (DeepAutoencoder, {"sweeps": 0}, r"^sweeps=0 must be at least 1"),
        (StackClassifier, {"dropout": 1.0}, r"^dropout=1\.0 must be in \[0, 1\)"),
    ],
)
def test_options_out_of_range_are_refused_in_one_line(build, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        build(BITS, **options)
    assert "\n" not in str(caught.value)


def test_data_that_cannot_be_classified_or_coded_are_refused():
    unlabelled = DataSpec("plain", "made up", (4,), Support.BINARY)
    with pytest.raises(
        UnsupportedData, match=r"needs data with labels; plain \(made up\) has none"
    ):
        StackClassifier(unlabelled)
    real = DataSpec("reals", "made up", (4,), Support.REAL, classes=3)
    for build in (StackClassifier, DeepAutoencoder):
        with pytest.raises(UnsupportedData, match="takes BINARY or LEVELS data; reals is REAL"):
            build(real)
