"""Flows whose ends are known, carried there and back, and great circles."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genlab.contracts import HasVelocity
from genlab.errors import GenlabError
from genlab.nn.ode import ADAPTIVE, FIXED, Solver, Unsolved, between, decode, encode
from genlab.randomness import generator


class Shrinking(HasVelocity):
    """dz/dt = −t z, from t = 1 to t = 3: z e^{−4} in the end."""

    span = (1.0, 3.0)

    def velocity(self, z: Tensor, t: float, label: Tensor | None = None) -> Tensor:
        return -t * z

    def embed(self, x, *, generator):
        return x, x.new_zeros(len(x))

    def base_log_prob(self, z):
        raise NotImplementedError


Z = torch.randn(5, 3, dtype=torch.float64, generator=generator("z"))


@pytest.mark.parametrize("name", [*ADAPTIVE, *FIXED])
def test_noise_is_where_the_flow_ends(name):
    solver = Solver(name, 1e-6, 1e-6, steps=4000 if name == "euler" else 200)
    found = encode(Shrinking(), Z, solver=solver)
    torch.testing.assert_close(found, Z * math.exp(-4), rtol=0.01, atol=1e-4)
    back = decode(Shrinking(), found, solver=solver)
    torch.testing.assert_close(back, Z, rtol=0.03, atol=1e-2)


def test_the_type_of_the_data_is_kept():
    found = encode(Shrinking(), Z.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(decode(Shrinking(), found), Z.float(), rtol=1e-2, atol=1e-2)


def test_a_field_that_cannot_be_solved_says_so():
    solver = Solver("dopri5")
    with pytest.raises(Unsolved, match="dopri5 found no step that meets its tolerance"):
        solver.solve(lambda _t, y: y * torch.nan, Z, (0.0, 1.0))
    assert issubclass(Unsolved, GenlabError)


# ------------------------------------------------------------------------------------- great circles


def test_points_of_equal_norm_stay_on_their_sphere():
    a, b = (torch.randn(6, 2, 3, generator=generator(k), dtype=torch.float64) for k in "ab")
    a, b = (v / v.flatten(1).norm(dim=1).view(-1, 1, 1) * 7 for v in (a, b))
    points = between(a, b, 9)
    assert points.shape == (6, 9, 2, 3)
    torch.testing.assert_close(points.flatten(2).norm(dim=2), torch.full((6, 9), 7.0).double())
    torch.testing.assert_close(points[:, 0], a)
    torch.testing.assert_close(points[:, -1], b)


def test_points_are_evenly_spaced_in_angle():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    angles = torch.linspace(0, math.pi / 2, 4)
    wanted = torch.stack([angles.cos(), angles.sin()], 1)
    torch.testing.assert_close(between(a, b, 4)[0], wanted)


def test_points_in_one_direction_are_joined_by_a_line():
    a = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    b = torch.tensor([[2.0, 4.0], [-1.0, -2.0]])
    middle = between(a, b, 3)[:, 1]
    torch.testing.assert_close(middle, torch.tensor([[1.5, 3.0], [0.0, 0.0]]))
