"""Annealing against sums over all states, and its verdicts on itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genlab.components import build
from genlab.contracts import (
    AnnealingPath,
    DataModule,
    DataSpec,
    Guarantee,
    Rows,
    Support,
    UsageError,
)
from genlab.likelihood import AnnealedImportance, Enumerated, evaluate
from genlab.likelihood.annealing import (
    LEAST_ESS,
    SALAKHUTDINOV_MURRAY,
    anneal,
    bootstrap,
    effective,
    log_mean_exp,
    resampled,
    schedule,
    training_rows,
)
from genlab.models.boltzmann import RBM, BaseRatePath
from genlab.training import TrainerSettings
from tests.likelihood.test_enumeration import Uncertain, every_datum, machine
from tests.models.boltzmann.rbm import DIGITS, digits, random_machine, trained
from tests.training.small import Bits

BITS = Bits()


class Digits(DataModule):
    """What the trained machine has seen."""

    spec = DIGITS

    def dataset(self, split):
        return Rows(digits(split))


class UniformStart(RBM):
    """Annealed from fair bits, whatever the data are."""

    def path(self, x_train: torch.Tensor, *, generator: torch.Generator) -> AnnealingPath:
        return BaseRatePath(self.machine.couplings(), torch.zeros(self.spec.size))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prepared(model: RBM, data: DataModule, seed: int = 0, **settings) -> AnnealedImportance:
    estimator = AnnealedImportance(model, **settings)
    estimator.prepare(data, generator=noise(seed))
    return estimator


# ------------------------------------------------------------------------------------ against the exact sum


def test_without_weights_every_chain_is_exact():
    """The base rates are those of the machine, so each chain's weight is Z itself."""
    energy = random_machine(8, 5)
    energy.weight.zero_()
    path = BaseRatePath(energy.couplings(), energy.visible)
    log_w, _ = anneal(path, schedule(((1.0, 30),)), path.start(50, generator=noise()), noise())
    assert torch.allclose(path.log_z0 + log_w, torch.tensor(energy.log_z()).double(), atol=1e-9)


@pytest.mark.parametrize("backward", [False, True])
def test_mean_weight_is_unbiased_on_six_by_four_units(backward):
    """Whatever the number of temperatures; three are few enough to see a fault."""
    energy = random_machine(6, 4)
    path = BaseRatePath(energy.couplings(), torch.linspace(-1, 1, 6).double())
    betas, n, generator = schedule(((1.0, 3),)), 100_000, noise(2)
    start = (path.end if backward else path.start)(n, generator=generator)
    log_w, _ = anneal(path, betas[::-1] if backward else betas, start, generator)
    ratio = energy.log_z() - path.log_z0
    weights = (log_w - (-ratio if backward else ratio)).exp()
    error = weights.std() / n**0.5
    assert abs(weights.mean() - 1) < 3 * error
    assert error < 0.01


def test_last_states_weighted_are_draws_of_the_end():
    energy = random_machine(6, 4)
    path = BaseRatePath(energy.couplings(), torch.zeros(6))
    start = path.start(20_000, generator=noise())
    log_w, state = anneal(path, [0.0, 0.5, 1.0], start, noise(1))
    found = log_w.softmax(0) @ state[0]
    exact = energy.draw(20_000, generator=noise(2)).mean(0)
    assert torch.allclose(found, exact, atol=0.03)


def test_ten_thousand_temperatures_are_within_a_seventh_of_a_nat():
    path = trained().path(digits("train"), generator=noise())
    start = path.start(100, generator=noise())
    log_w, _ = anneal(path, schedule(((1.0, 10_000),)), start, noise(1))
    assert path.log_z0 + float(log_mean_exp(log_w)) == pytest.approx(trained().log_z(), abs=0.15)
    assert effective(log_w) > 0.8


def test_forward_errs_low_and_backward_errs_high_in_expectation():
    """By the means of 200 runs of 10 chains each."""
    path = trained().path(digits("train"), generator=noise())
    betas, exact = schedule(((1.0, 30),)), trained().log_z()
    ends = path.start(2000, generator=noise(1)), path.end(2000, generator=noise(1))
    for start, order, sign in zip(ends, (betas, betas[::-1]), (1, -1), strict=True):
        log_w, _ = anneal(path, order, start, noise(2))
        found = path.log_z0 + sign * log_mean_exp(log_w.view(200, 10))
        assert sign * (exact - found.mean()) > 3 * found.std() / 200**0.5


# ------------------------------------------------------------------------------------------- the estimator


def test_score_is_that_of_enumeration_with_a_bracket_around_it():
    model, x = trained(), digits("test")
    exact = Enumerated(model)
    exact.prepare(Digits(), generator=noise())
    truth = exact(x, generator=noise()).nats
    result = prepared(model, Digits(), temperatures=1000)(x, generator=noise())
    assert not result.problem
    assert result.guarantee is Guarantee.UPPER_BOUND
    assert torch.allclose(result.nats, truth, atol=0.15)
    assert result.bracket is not None
    assert result.bracket.two_sided
    assert (truth > result.nats + result.bracket.low).all()
    assert (truth < result.nats + result.bracket.high).all()
    assert result.bracket.high - result.bracket.low < 0.5
    assert result.shared is not None
    assert result.shared[0] < 0 < result.shared[1]
    found = result.diagnostics
    assert found["log_z"] == pytest.approx(model.log_z(), abs=0.15)
    assert found["reverse_log_z"] == pytest.approx(model.log_z(), abs=0.15)
    assert LEAST_ESS < found["ess"] < 1
    assert (found["chains"], found["temperatures"]) == (100, 1000)
    seeds = found["log_z_seed_1"], found["log_z_seed_2"]
    assert seeds[0] != seeds[1]
    pooled = math.log(sum(map(math.exp, np.subtract(seeds, seeds[0]))) / 2) + seeds[0]
    assert found["log_z"] == pytest.approx(pooled)


def test_uniform_start_with_a_hundred_temperatures_has_not_converged():
    model = UniformStart(DIGITS, 16)
    model.machine = trained().machine
    for seed in range(3):
        result = prepared(model, Digits(), seed, temperatures=100)(
            digits("test"), generator=noise()
        )
        assert result.problem
        assert "effective sample size is " in result.problem
        assert "raise likelihood.temperatures" in result.problem


def test_chains_run_in_full_precision_under_autocast():
    model = RBM(DIGITS, 16)
    plain = prepared(model, Digits(), temperatures=10, chains=5).log_z
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = prepared(model, Digits(), temperatures=10, chains=5).log_z
    assert torch.equal(plain, mixed)


def test_guarantees_combine():
    """Energy and partition function: exact or a bound, exact or annealed."""
    x, found = every_datum(), {}
    for kind in (RBM, Uncertain):
        model = machine(kind)
        for estimator in (Enumerated(model), AnnealedImportance(model, temperatures=20)):
            estimator.prepare(BITS, generator=noise())
            result = estimator(x, generator=noise())
            found[model.unnormalised, estimator.name] = result.guarantee
            if result.bracket is not None:
                assert result.bracket.two_sided == (kind is RBM)
    assert found == {
        (Guarantee.EXACT, "enumerate"): Guarantee.EXACT,
        (Guarantee.EXACT, "ais"): Guarantee.UPPER_BOUND,
        (Guarantee.LOWER_BOUND, "enumerate"): Guarantee.LOWER_BOUND,
        (Guarantee.LOWER_BOUND, "ais"): Guarantee.ESTIMATE,
    }


def test_backward_chains_without_exact_draws_start_where_the_forward_ones_ended():
    spec = DataSpec("bits", "made up", (4,), Support.BINARY)

    class Endless(RBM):
        def path(self, x_train, *, generator):
            path = super().path(x_train, generator=generator)
            path.end = lambda n, *, generator: None
            return path

    model = Endless(spec, 3)
    model.machine = machine().machine
    result = prepared(model, BITS, temperatures=50, chains=400)(every_datum(), generator=noise())
    assert result.bracket is not None
    assert not result.bracket.two_sided
    assert result.diagnostics["reverse_log_z"] == pytest.approx(model.log_z(), abs=0.05)


def test_states_are_resampled_by_weight():
    energy = random_machine(4, 3)
    path = BaseRatePath(energy.couplings(), torch.zeros(4))
    ends = [path.start(2, generator=noise(s)) for s in (0, 1)]
    kept = {tuple(end[0][0].tolist()) for end in ends}
    state = resampled([torch.tensor([0.0, -1e9])] * 2, ends, 50, noise())
    assert {tuple(row) for row in state[0].tolist()} == kept
    assert all(len(part) == 50 for part in state)


def test_without_backward_chains_there_is_no_bracket():
    result = prepared(machine(), BITS, temperatures=5, reverse=False)(
        every_datum(), generator=noise()
    )
    assert result.bracket is None
    assert "reverse_log_z" not in result.diagnostics


# ------------------------------------------------------------------------------------- verdicts on itself


def judged(log_z: list[list[float]]) -> str:
    """What is said of these estimates, one row for each seed, one for each chain."""
    estimator = AnnealedImportance(machine(), reverse=False, chains=len(log_z[0]))
    estimator.log_z = torch.tensor(log_z, dtype=torch.float64)
    estimator.interval = estimator.log_z.new_tensor([0.0, 9.0])
    return estimator(every_datum(), generator=noise()).problem


def test_few_chains_with_all_the_weight_are_a_problem():
    good, bad = [5.0] * 10, [5.0, *[-9.0] * 9]  # ESS 100 % and 10 %
    assert judged([good, good]) == ""
    said = judged([good, [x - math.log(0.1) if x > 0 else x for x in bad]])
    assert said == (
        "the effective sample size is 10.0% of 10 chains, less than 20%: raise likelihood.temperatures"
    )
    assert judged([[5.0, 5.0, *[-9.0] * 8], [5.0, 5.0, *[-9.0] * 8]]) == ""  # a little above 20 %


def test_so_few_chains_that_no_size_is_small_are_a_problem():
    """One of five chains with all the weight is an effective sample size of 20 %."""
    assert "raise likelihood.chains to 10" in judged([[5.0, *[-90.0] * 4], [5.0, *[-90.0] * 4]])


def test_seeds_that_disagree_are_a_problem():
    assert judged([[7.0] * 10, [7.29] * 10]) == ""
    assert judged([[7.0] * 10, [7.31] * 10]) == (
        "two seeds give log Z = 7.00 and 7.31, more than 0.3 nats apart: raise likelihood.temperatures "
        "or likelihood.chains"
    )


def test_weights_that_are_no_numbers_are_a_problem():
    assert "effective sample size is nan" in judged([[math.nan] * 10, [7.0] * 10])


def test_interval_covers_the_truth_as_often_as_it_says():
    sd, n, repeats = 0.7, 100, 100
    covered = 0
    for seed in range(repeats):
        log_w = sd * torch.randn(n, generator=noise(seed), dtype=torch.float64) - sd**2 / 2
        low, high = bootstrap(log_w, noise(seed)).tolist()
        covered += low < 0 < high
    assert 88 <= covered <= 99


def test_interval_and_bracket_are_those_of_log_z_with_their_signs_changed():
    estimator = AnnealedImportance(machine(), chains=2)
    estimator.log_z = torch.tensor([[5.0, 5.0], [5.0, 5.0]], dtype=torch.float64)
    estimator.interval = torch.tensor([4.0, 5.5])
    estimator.reverse_log_z = torch.tensor(5.25)
    estimator.reverse_exact = torch.tensor(True)
    for reverse, low in (([5.2, 7.0], -2.0), ([4.0, 4.5], 0.0)):
        estimator.reverse_interval = torch.tensor(reverse)
        result = estimator(every_datum(), generator=noise())
        assert result.shared == pytest.approx((-0.5, 1.0))
        assert result.bracket is not None
        assert (result.bracket.low, result.bracket.high) == pytest.approx((low, 1.0))


def test_intervals_enclose_what_they_are_intervals_of():
    estimator = prepared(machine(), BITS, temperatures=5)
    for interval, value in (
        (estimator.interval, log_mean_exp(estimator.log_z.flatten())),
        (estimator.reverse_interval, estimator.reverse_log_z),
    ):
        assert interval[0] < value < interval[1]


# ----------------------------------------------------------------------------------------------- settings


def test_default_schedule_is_that_of_salakhutdinov_and_murray():
    betas = schedule(SALAKHUTDINOV_MURRAY)
    assert len(betas) == 14_501
    steps = np.diff(betas)
    assert np.allclose(steps[:500], 1e-3)
    assert np.allclose(steps[500:4500], 1e-4)
    assert np.allclose(steps[4500:], 1e-5)
    assert (betas[0], betas[500], betas[4500], betas[-1]) == (0.0, 0.5, 0.9, 1.0)


def test_schedule_can_be_written_in_a_configuration():
    node = {"_target_": "genlab.likelihood.AnnealedImportance", "temperatures": [[0.5, 3], [1, 2]]}
    estimator = build(node, machine(), where="likelihood")
    assert estimator.settings["temperatures"] == [[0.5, 3], [1.0, 2]]
    assert schedule(estimator.pieces) == pytest.approx([0, 1 / 6, 1 / 3, 0.5, 0.75, 1])
    with pytest.raises(UsageError, match=r"likelihood\.temperatures=many: expected a whole number"):
        build(node | {"temperatures": "many"}, machine(), where="likelihood")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"chains": 0}, r"^chains=0 must be at least 1"),
        ({"k": 0}, r"^k=0 must be at least 1"),
        ({"temperatures": 0}, r"likelihood\.temperatures=\[\[1\.0, 0\]\]: a number of at least 1"),
        ({"temperatures": ((0.5, 10),)}, "with ends that rise to 1"),
        ({"temperatures": ((0.5, 10), (0.5, 1), (1.0, 1))}, "with ends that rise to 1"),
        ({"temperatures": ((0.5, 0), (1.0, 1))}, "with ends that rise to 1"),
        ({"temperatures": ()}, "with ends that rise to 1"),
    ],
)
def test_bad_settings_are_one_line(settings, said):
    with pytest.raises(UsageError, match=said):
        AnnealedImportance(machine(), **settings)


def test_base_rates_come_from_at_most_ten_thousand_rows_spread_evenly():
    class Many(Digits):
        def dataset(self, split):
            return Rows(torch.arange(25_000)[:, None].float())

    rows = training_rows(Many()).flatten()
    assert len(rows) == 10_000
    assert rows[0] == 0
    assert rows.diff().min() >= 2
    assert rows[-1] >= 24_997
    assert len(training_rows(Digits())) == 1300


# ---------------------------------------------------------------------------------------------- processes


def test_values_are_the_same_on_two_processes(tmp_path):
    """Rank 0 anneals; the other one gets what it found, and the words about it too."""
    values = []
    for devices, strategy in ((1, "auto"), (2, "ddp_fork")):
        settings = TrainerSettings(accelerator="cpu", strategy=strategy, devices=devices)
        estimator = AnnealedImportance(machine(Uncertain), chains=10, temperatures=20, k=3)

        def write(scored, path=tmp_path / f"{devices}.npz"):
            assert scored.result.shared is not None
            np.savez(path, nats=scored.nats, **scored.diagnostics)

        trainer = settings.trainer([])
        evaluate(estimator.model, estimator, Wide(), "test", trainer, seed=3, write=write)
        values.append(dict(np.load(tmp_path / f"{devices}.npz")))
    assert values[0].keys() == values[1].keys()
    assert all(np.array_equal(values[0][key], values[1][key]) for key in values[0])


class Wide(Bits):
    """Several blocks of bits."""

    def dataset(self, split):
        return Rows(Bits().dataset(split).x.repeat(5, 1)[:297])
