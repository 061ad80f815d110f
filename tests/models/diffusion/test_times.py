import torch

from genlab.models.diffusion.times import even, step_of, strata
from genlab.randomness import generator

CPU = torch.device("cpu")


def test_the_times_of_a_batch_leave_no_gaps_and_are_uniform_each_by_itself():
    torch.manual_seed(0)
    draws = torch.stack([even(7, CPU) for _ in range(4000)])
    gaps = draws.sort(dim=1).values.diff(dim=1)
    torch.testing.assert_close(gaps, torch.full_like(gaps, 1 / 7))
    assert ((draws >= 0) & (draws < 1)).all()
    for column in draws.T:
        counts = torch.histc(column, 10, 0, 1) / len(draws)
        assert (counts - 0.1).abs().max() < 0.02


def test_each_datum_has_a_time_in_each_stratum():
    times = torch.stack(list(strata(1000, 4, generator("strata"), CPU)))
    assert torch.equal((times * 4).floor(), torch.arange(4.0).double()[:, None].expand(4, 1000))
    assert (times * 4 % 1).var() > 0.07  # uniform within: 1/12


def test_strata_have_less_noise_than_independent_times_and_the_same_mean():
    def mean(times: torch.Tensor) -> torch.Tensor:
        return times.square().mean(0)

    apart = mean(torch.stack(list(strata(5000, 10, generator("strata"), CPU))))
    alone = mean(torch.rand(10, 5000, generator=generator("alone"), dtype=torch.float64))
    assert abs(apart.mean().item() - 1 / 3) < 4 * apart.std().item() / 5000**0.5
    assert apart.var() < alone.var() / 50


def test_steps_are_visited_equally_often_and_never_beyond_the_last():
    t = torch.tensor([0.0, 0.2499, 0.25, 0.9999, 1.0], dtype=torch.float64)
    assert step_of(t, 4).tolist() == [0, 0, 1, 3, 3]
    visits = torch.stack(list(strata(3, 50, generator("visits"), CPU)))
    assert torch.equal(step_of(visits, 50), torch.arange(50.0).double()[:, None].expand(50, 3))
