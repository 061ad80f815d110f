"""Diffusion of bits against chains written out as matrices, and sums over all states of four bits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from genlab.contracts import Batch, DataSpec, Observed, Support, UnsupportedData, UsageError
from genlab.models.diffusion import (
    DDIM,
    Absorbing,
    Binomial,
    BitDiffusion,
    BitKernel,
    Strided,
    Unmasking,
)
from genlab.testing.statistics import g_test

T = 4
SPEC = DataSpec("bits", "", (2, 2), Support.BINARY)
P = torch.tensor([[0.3, 0.6], [0.5, 0.8]], dtype=torch.float64)
KERNELS = {
    "binomial": Binomial(T),
    "binomial, half": Binomial(T, towards="half"),
    "absorbing": Absorbing(T),
}
kernels = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS.keys())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --------------------------------------------------------------------------------- one bit, as matrices


def values(kernel: BitKernel) -> list[float]:
    """The states of an entry."""
    return [-1.0, 1.0, 0.0] if isinstance(kernel, Absorbing) else [-1.0, 1.0]


def forward(kernel: BitKernel, step: int, p: float) -> Tensor:
    """(S, S) q(s_t | s_{t−1}) with β_t = 1/(T − t + 1), rows before, columns after."""
    beta = 1 / (kernel.steps - step + 1)
    if isinstance(kernel, Absorbing):
        rows = [[1 - beta, 0, beta], [0, 1 - beta, beta], [0, 0, 1]]
    else:
        end = p if kernel.towards == "marginal" else 0.5  # type: ignore[attr-defined]
        rows = [[1 - beta * end, beta * end], [beta * (1 - end), 1 - beta * (1 - end)]]
    return torch.tensor(rows, dtype=torch.float64)


def after(kernel: BitKernel, steps: int, p: float) -> Tensor:
    """(2, S) q(s_t | x), rows x = 0 and x = 1."""
    matrix = torch.eye(len(values(kernel)), dtype=torch.float64)
    for step in range(1, steps + 1):
        matrix = matrix @ forward(kernel, step, p)
    return matrix[:2]


def posterior(kernel: BitKernel, step: int, p: float, x: int, s: int) -> Tensor:
    """(S,) q(s_{t−1} | s_t = the s-th state, x), by Bayes."""
    joint = after(kernel, step - 1, p)[x] * forward(kernel, step, p)[:, s]
    return joint / joint.sum()


@kernels
def test_noise_is_the_product_of_its_steps(kernel):
    n = 40_000
    for x, step in itertools.product((0, 1), range(T + 1)):
        data = torch.full((n, 1), float(x), dtype=torch.float64)
        s = kernel.noised(data, torch.full((n,), step), torch.tensor([0.3]).double(), seeded(step))
        counts = torch.tensor([int((s == value).sum()) for value in values(kernel)])
        assert g_test(counts, after(kernel, step, 0.3)[x]) > 1e-4


@kernels
@pytest.mark.parametrize("step", range(1, T + 1))
def test_divergence_and_step_back_are_those_of_bayes(kernel, step):
    p, guess = 0.3, torch.tensor([[0.7]], dtype=torch.float64)
    t, share = torch.tensor([float(step)]), torch.tensor([p], dtype=torch.float64)
    for s, value in enumerate(values(kernel)):
        if not after(kernel, step, p)[:, s].min() > 0:
            continue
        q = [posterior(kernel, step, p, x, s) for x in (0, 1)]
        back = 0.3 * q[0] + 0.7 * q[1]
        state = torch.tensor([[value]], dtype=torch.float64)
        for x in (0, 1):
            found = kernel.divergence(
                torch.tensor([[float(x)]]).double(), state, guess.logit(), t, share
            )
            wanted = (torch.xlogy(q[x], q[x]) - torch.xlogy(q[x], back)).sum()
            assert found.item() == pytest.approx(wanted.item(), abs=1e-12)
        many = state.expand(20_000, 1)
        drawn = kernel.back(many, guess.logit().expand(20_000, 1), t, share, seeded())
        counts = torch.tensor([int((drawn == v).sum()) for v in values(kernel)])
        assert g_test(counts, back) > 1e-4


# ------------------------------------------------------------------------------- four bits, as sums


class Skewed(nn.Module):
    """Some network that is anything but right."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.randn(4, 4, generator=seeded(3)))

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        found = (z.flatten(1) + 0.3) @ self.weight + 0.2 * u.unsqueeze(1)
        return found.view(-1, *self.shape, 1)


def skewed(kernel: BitKernel) -> BitDiffusion:
    model = BitDiffusion(SPEC, kernel, Skewed, bound_steps=0).eval()
    model.marginal.copy_(P)
    return model


def codes(kernel: BitKernel) -> Tensor:
    """(S⁴, 2, 2) every state."""
    return torch.tensor(
        list(itertools.product(values(kernel), repeat=4)), dtype=torch.float64
    ).view(-1, 2, 2)


def entries(kernel: BitKernel, table: Tensor) -> Tensor:
    """(…, S⁴) of table: (…, 4, S), the probabilities of states whose entries are independent."""
    names = values(kernel)
    where = torch.tensor(list(itertools.product(range(len(names)), repeat=4)))
    return torch.stack([table[..., i, where[:, i]] for i in range(4)]).prod(0)


def backwards(model: BitDiffusion, kernel: BitKernel, step: int) -> Tensor:
    """(S⁴, S⁴) p(s_{t−1} | s_t), rows s_t, from posteriors by Bayes."""
    states, names = codes(kernel), values(kernel)
    guess = model.logits(states, torch.tensor(float(step))).sigmoid().detach().flatten(1)
    table = torch.zeros(len(states), 4, len(names), dtype=torch.float64)
    for row, i in itertools.product(range(len(states)), range(4)):
        s = names.index(states[row].flatten()[i].item())
        p = P.flatten()[i].item()
        for x, weight in ((0, 1 - guess[row, i]), (1, guess[row, i])):
            known = isinstance(kernel, Absorbing) and names[s] != 0
            q = torch.eye(len(names)).double()[s] if known else posterior(kernel, step, p, x, s)
            table[row, i] += weight * q
    return entries(kernel, table)


def exact(model: BitDiffusion, kernel: BitKernel) -> Tensor:
    """(S⁴,) probabilities of the last states."""
    start = torch.stack([after(kernel, T, p)[0] for p in P.flatten().tolist()])
    found = entries(kernel, start)
    for step in range(T, 0, -1):
        found = found @ backwards(model, kernel, step)
    return found


def of_data(kernel: BitKernel, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """The 16 data and their probabilities; nothing is hidden in the end."""
    states = codes(kernel)
    whole = (states != 0).flatten(1).all(1)
    return (states[whole] > 0).double(), probabilities[whole]


@kernels
def test_samples_are_as_frequent_as_they_are_probable(kernel):
    model = skewed(kernel)
    _, p = of_data(kernel, exact(model, kernel))
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
    bits = model.sample(20_000, generator=seeded()).flatten(1).long()
    counts = (bits @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    assert g_test(counts, p) > 1e-4


@kernels
def test_the_bound_is_the_sum_of_its_divergences_and_above_the_probability(kernel):
    """The expectation of the bound, written out: over all states of every step."""
    model = skewed(kernel)
    x, p = of_data(kernel, exact(model, kernel))
    states, names = codes(kernel), values(kernel)
    wanted = torch.zeros(16, dtype=torch.float64)
    for step in range(1, T + 1):
        back = backwards(model, kernel, step)
        for row in range(16):
            bits = x[row].flatten().long().tolist()
            shares = P.flatten().tolist()
            tables = [after(kernel, step, p)[b] for p, b in zip(shares, bits, strict=True)]
            here = entries(kernel, torch.stack(tables))
            for s in torch.nonzero(here).flatten().tolist():
                q = [
                    posterior(
                        kernel,
                        step,
                        P.flatten()[i].item(),
                        int(x[row].flatten()[i]),
                        names.index(states[s].flatten()[i].item()),
                    )
                    for i in range(4)
                ]
                there = entries(kernel, torch.stack(q))
                cost = torch.xlogy(there, there) - torch.xlogy(there, back[s])
                wanted[row] += here[s] * cost[there > 0].sum()
    assert (wanted >= -p.log() - 1e-9).all()
    found = model.bound(x.repeat(4000, 1, 1), generator=seeded()).view(4000, 16)
    error = found.std(0) / 4000**0.5
    assert ((found.mean(0) - wanted).abs() < 4.5 * error + 1e-9).all()


@kernels
@pytest.mark.parametrize("visits", [1, 3])
def test_visiting_few_steps_leaves_the_expectation(kernel, visits):
    model = skewed(kernel)
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).expand(20_000, 2, 2)
    few = model.bound(x, generator=seeded(1), steps=visits)
    every = model.bound(x, generator=seeded(2), steps=0)
    error = ((few.var() + every.var()) / len(x)).sqrt()
    assert abs(few.mean() - every.mean()) < 4.5 * error


@kernels
def test_training_begins_at_the_independent_model(kernel):
    """Whose steps back are right, so that its bound is its likelihood."""
    x = (torch.rand(4000, 2, 2, generator=seeded(), dtype=torch.float64) < P).double()
    model = BitDiffusion(SPEC, kernel, bound_steps=0).eval()
    model.begin(Batch(x.float(), None, None))
    p = model.marginal
    wanted = -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    found = model.bound(x, generator=seeded())
    assert abs((found - wanted).mean()) < 4.5 * (found - wanted).std() / 4000**0.5


def test_the_loss_estimates_the_bound():
    model = skewed(KERNELS["binomial"])
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).expand(20_000, 2, 2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = model.loss(Batch(x, None, None)).item()
    every = model.bound(x, generator=seeded(2), steps=0)
    assert loss == pytest.approx(every.mean().item(), abs=0.1)


@kernels
@pytest.mark.parametrize("step", range(1, T + 1))
def test_log_prob_is_that_of_the_step_back(kernel, step):
    p, guess = 0.3, torch.tensor([[0.7]], dtype=torch.float64)
    t, share = torch.tensor([float(step)]), torch.tensor([p], dtype=torch.float64)
    for s, value in enumerate(values(kernel)):
        if not after(kernel, step, p)[:, s].min() > 0:
            continue
        back = sum(w * posterior(kernel, step, p, x, s) for x, w in ((0, 0.3), (1, 0.7)))
        for to, wanted in zip(values(kernel), back, strict=True):
            state, there = (torch.tensor([[v]], dtype=torch.float64) for v in (value, to))
            found = kernel.log_prob(there, state, guess.logit(), t, share).exp()
            assert found.item() == pytest.approx(wanted.item(), abs=1e-12)


@kernels
def test_completions_follow_the_conditional(kernel):
    model = skewed(kernel)
    model.particles = 64
    x, p = of_data(kernel, exact(model, kernel))
    mask = torch.tensor([[True, False], [False, True]])
    seen = Observed(x[9:10].float(), mask.unsqueeze(0))
    drawn = model.complete(seen, 3000, generator=seeded())[:, 0]
    assert (drawn[:, mask] == x[9][mask]).all()
    agrees = (x[:, mask] == x[9][mask]).all(1)
    wanted = torch.where(agrees, p, 0.0) / p[agrees].sum()
    counts = (drawn.flatten(1).long() @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    assert (counts / 3000 - wanted).abs().max() < 0.03


# --------------------------------------------------------------------------------- other samplers


def jump(kernel: BitKernel, t: int, to: int, p: float, x: int, s: int) -> Tensor:
    """(S,) q(s_to | s_t = the s-th state, x), by Bayes, with the steps between them as one matrix."""
    between = torch.eye(len(values(kernel)), dtype=torch.float64)
    for step in range(to + 1, t + 1):
        between = between @ forward(kernel, step, p)
    joint = after(kernel, to, p)[x] * between[:, s]
    return joint / joint.sum()


@kernels
@pytest.mark.parametrize(("t", "to"), [(4, 2), (3, 0), (4, 0), (2, 1)])
def test_a_long_step_is_that_of_bayes(kernel, t, to):
    n, share = 20_000, torch.tensor([0.3], dtype=torch.float64)
    for s, value in enumerate(values(kernel)):
        if not after(kernel, t, 0.3)[:, s].min() > 0:
            continue
        back = 0.3 * jump(kernel, t, to, 0.3, 0, s) + 0.7 * jump(kernel, t, to, 0.3, 1, s)
        state, guess = torch.full((n, 1), value).double(), torch.full((n, 1), 0.7).double()
        times = (torch.tensor(float(t)), torch.tensor(float(to)))
        drawn = kernel.back(state, guess.logit(), times[0], share, seeded(), times[1])
        counts = torch.tensor([int((drawn == v).sum()) for v in values(kernel)])
        assert g_test(counts, back) > 1e-4


@kernels
def test_as_many_steps_as_the_chain_has_are_the_chain(kernel):
    model = skewed(kernel)
    x = model.sample_by(Strided(T), 50, generator=seeded())
    assert torch.equal(x, model.sample(50, generator=seeded()))
    assert torch.equal(x, model.sample_by(None, 50, generator=seeded()))


@kernels
def test_few_steps_are_drawn_from_few_steps_back(kernel):
    """Two steps, 4 → 2 → 0, over all states of four bits."""
    model = skewed(kernel)
    start = torch.stack([after(kernel, T, p)[0] for p in P.flatten().tolist()])
    found, states, names = entries(kernel, start), codes(kernel), values(kernel)
    for t, to in ((4, 2), (2, 0)):
        guess = model.logits(states, torch.tensor(float(t))).sigmoid().detach().flatten(1)
        table = torch.zeros(len(states), 4, len(names), dtype=torch.float64)
        for row, i in itertools.product(range(len(states)), range(4)):
            s, p = names.index(states[row].flatten()[i].item()), P.flatten()[i].item()
            for x, weight in ((0, 1 - guess[row, i]), (1, guess[row, i])):
                known = isinstance(kernel, Absorbing) and names[s] != 0
                q = torch.eye(3).double()[s] if known else jump(kernel, t, to, p, x, s)
                table[row, i] += weight * q
        found = found @ entries(kernel, table)
    _, p = of_data(kernel, found)
    bits = model.sample_by(Strided(2), 20_000, generator=seeded()).flatten(1).long()
    counts = (bits @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    assert g_test(counts, p) > 1e-4


def in_order(model: BitDiffusion, x: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """() log p of bits x: (2, 2) found group after group, as a product of conditionals."""
    s, total, known = torch.zeros(4, dtype=torch.float64), torch.zeros(()).double(), 0
    for group in groups:
        t = torch.tensor(model.kernel.steps * (1 - known / 4), dtype=torch.float64)
        logits = model.logits(s.view(1, 2, 2), t).detach().flatten()
        for i in group:
            sign = 2 * x.flatten()[i] - 1
            total = total + nn.functional.logsigmoid(sign * logits[i])
            s[i] = sign
        known += len(group)
    return total


@pytest.mark.parametrize("size", [1, 2])
def test_unmasking_is_a_mixture_of_all_orders(size):
    """One entry or two at a time: p(x) is the mean over orders of products of conditionals."""
    model = skewed(Absorbing(T))
    x, _ = of_data(model.kernel, exact(model, model.kernel))
    orders = list(itertools.permutations(range(4)))
    groups = [[order[k : k + size] for k in range(0, 4, size)] for order in orders]
    p = torch.stack(
        [torch.stack([in_order(model, row, g) for g in groups]).exp().mean() for row in x]
    )
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
    bits = model.sample_by(Unmasking(4 // size), 20_000, generator=seeded()).flatten(1).long()
    counts = (bits @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    assert g_test(counts, p) > 1e-4


class Timeless(Skewed):
    """Sees what is known, and not how much time is left."""

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        return super().forward(z, torch.zeros_like(u))


def expected(model: BitDiffusion, x: Tensor, steps: int) -> float:
    """The bound of T = steps, summed over all that may be hidden: at step t, each entry with t/T."""
    signs = 2 * x.flatten() - 1
    hidden = torch.tensor(list(itertools.product([False, True], repeat=4)))
    s = torch.where(hidden, 0.0, signs).view(-1, 2, 2)
    logits = model.logits(s, torch.tensor(1.0)).detach().flatten(1)
    cost = torch.where(hidden, -nn.functional.logsigmoid(signs * logits), 0.0).sum(1)
    share = torch.arange(1, steps + 1, dtype=torch.float64)[:, None] / steps
    many = hidden.sum(1)
    weight = share**many * (1 - share) ** (4 - many)
    return float((weight / share * cost).sum() / steps)


def test_the_bound_of_many_steps_is_that_of_all_orders():
    """It comes to the mean over orders of −log p(x in that order) as T grows. T = D is not there: as many
    steps as entries do not find them one at a time.
    """
    model = BitDiffusion(SPEC, Absorbing(T), Timeless, bound_steps=0).eval()
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    orders = itertools.permutations(range(4))
    wanted = -torch.stack([in_order(model, x, [[i] for i in o]) for o in orders]).mean().item()
    gaps = [abs(expected(model, x, steps) - wanted) for steps in (4, 64, 4096)]
    assert gaps[0] > 0.05
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3
    found = model.bound(x.expand(20_000, 2, 2), generator=seeded())
    assert abs(found.mean().item() - expected(model, x, T)) < 4.5 * found.std().item() / 20_000**0.5


def test_samplers_that_do_not_fit_are_refused():
    absorbing, binomial = (skewed(KERNELS[name]) for name in ("absorbing", "binomial"))
    for sampler, model, message in (
        (Strided(5), binomial, r"sampler.steps=5: this model's chain has 4 steps"),
        (Unmasking(5), absorbing, r"sampler.steps=5: this model's chain has 4 steps"),
        (
            Unmasking(2),
            binomial,
            r"sampler=unmasking finds what is hidden, and Binomial hides nothing",
        ),
        (DDIM(2), absorbing, r"DDIM takes Gaussian noise away, .*: use sampler=strided or"),
        (Unmasking(5), skewed(Absorbing(8)), r"sampler.steps=5: a datum has 4 entries to find"),
    ):
        with pytest.raises(UsageError, match=message):
            model.sample_by(sampler, 1, generator=seeded())
    with pytest.raises(UsageError, match="guidance=2 goes with a label, and this model has none"):
        binomial.sample_by(None, 1, guidance=2.0, generator=seeded())
    with pytest.raises(UsageError, match=r"^steps=0 must be at least 1"):
        Strided(0)


def test_what_bits_cannot_be_is_refused():
    with pytest.raises(UnsupportedData, match="takes BINARY data; greys is LEVELS"):
        BitDiffusion(DataSpec("greys", "", (2, 2), Support.LEVELS, 4))
    with pytest.raises(UsageError, match="expected marginal or half"):
        Binomial(3, towards="zero")
    with pytest.raises(UsageError, match=r"^steps=0 must be at least 1"):
        Absorbing(0)
