"""Maps to another space and back: encoders, and the embedding of a probability-flow ODE."""

from __future__ import annotations

import torch

from genlab.contracts import HasEncoder, HasVelocity, Support
from genlab.testing.check import Skip, check, expect
from genlab.testing.subject import Subject

CLOSE = 1e-3


@check("decode(encode(x)) must have the shape of x, and be finite", needs=HasEncoder)
def reconstructions_have_the_shape_of_the_data(s: Subject) -> None:
    for n in (1, 7):
        x = s.data(n).x
        y = s.model.decode(s.model.encode(x))
        expect(y.shape == x.shape, f"{tuple(y.shape)} for data of {tuple(x.shape)}")
        expect(y.isfinite().all(), "some entries are not finite")


@check("velocity(z, t) must have the shape of z and be finite on the whole span", needs=HasVelocity)
def velocity_has_the_shape_of_its_point(s: Subject) -> None:
    z, _ = s.model.embed(s.data(7).x, generator=s.generator("embed"))
    for t in s.model.span:
        v = s.model.velocity(z, t)
        expect(v.shape == z.shape, f"{tuple(v.shape)} at points of {tuple(z.shape)}")
        expect(v.isfinite().all(), f"not finite at t = {t}")


@check(
    "embed must return log|det dz/dx| of each datum beside z: what it returns is not what automatic"
    " differentiation finds",
    needs=HasVelocity,
)
def embedding_counts_its_jacobian(s: Subject) -> None:
    x = s.data(7).x
    z, log_det = s.model.embed(x, generator=s.generator("embed"))
    expect(log_det.shape == (7,), f"log|det| has shape {tuple(log_det.shape)} for 7 data")
    expect(z[0].numel() == x[0].numel(), f"z has shape {tuple(z.shape)}")
    if s.space.spec.support is not Support.REAL:
        raise Skip("dequantised data have no derivative")
    for row, claimed in zip(x, log_det, strict=True):
        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(
                lambda v: s.model.embed(v[None], generator=s.generator("embed"))[0].flatten(), row
            )
        found = jacobian.reshape(row.numel(), row.numel()).slogdet().logabsdet
        expect((found - claimed).abs() < CLOSE, f"{float(claimed):.4f} against {float(found):.4f}")
