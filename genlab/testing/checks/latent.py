"""Maps to another space and back: encoders, and the embedding of a probability-flow ODE."""

from __future__ import annotations

import torch

from genlab.contracts import HasEncoder, HasVelocity, Support
from genlab.likelihood import ProbabilityFlow
from genlab.testing.check import Skip, check, expect
from genlab.testing.statistics import SIGMAS, Estimate
from genlab.testing.subject import Subject

CLOSE = 1e-3
FARTHER = (
    1.25  # times the mean's error: a code that says nothing gives back the mean, and a little noise
)
STEPS = 30  # of the Runge-Kutta method
DRAWS = 8  # of an embedding of discrete data


@check("decode(encode(x)) must have the shape of x, and be finite", needs=HasEncoder)
def reconstructions_have_the_shape_of_the_data(s: Subject) -> None:
    for n in (1, 7):
        x = s.data(n).x
        y = s.model.decode(s.model.encode(x))
        expect(y.shape == x.shape, f"{tuple(y.shape)} for data of {tuple(x.shape)}")
        expect(y.isfinite().all(), "some entries are not finite")


@check(
    "the code or the reconstruction of a datum alone differs from that of the same datum in a batch:"
    " something is computed over the batch (batch normalisation, centring)",
    needs=HasEncoder,
)
def codes_of_a_datum_ignore_their_batch(s: Subject) -> None:
    x = s.distinct(16)
    z = s.model.encode(x.clone())
    expect(len(z) == len(x), f"{len(z)} codes of {len(x)} data")
    alone = torch.cat([s.model.encode(row[None].clone()) for row in x])
    expect(torch.allclose(z, alone, CLOSE, CLOSE), "codes differ")
    together, alone = s.model.decode(z), torch.cat([s.model.decode(row[None]) for row in z])
    expect(torch.allclose(together, alone, CLOSE, CLOSE), "reconstructions differ")


@check("encode must tell data apart: all of them have one and the same code", needs=HasEncoder)
def codes_tell_data_apart(s: Subject) -> None:
    z = s.model.encode(s.data(64).x)
    expect(bool((z != z[:1]).any()), f"that of 64 data is {z[0].flatten()[:4].tolist()} …")


@check(
    "on BINARY data decode must give the mean of each bit, a probability in [0, 1]: not its logit",
    needs=HasEncoder,
)
def reconstructions_of_bits_are_probabilities(s: Subject) -> None:
    if s.space.spec.support is not Support.BINARY:
        raise Skip("the data are not binary")
    x = s.data(64).x
    y = s.model.decode(s.model.encode(x))
    low, high = float(y.min()), float(y.max())
    expect(low >= -CLOSE and high <= 1 + CLOSE, f"values from {low:.3g} to {high:.3g}")


@check(
    "what comes back from a datum's code is further from it than the mean of all data: decode does not give"
    " the mean of x in the units of the data, or another datum's",
    needs=HasEncoder,
)
def reconstructions_are_nearer_than_the_mean(s: Subject) -> None:
    x = s.data(512).x
    error, floor = (
        float((x - y).square().flatten(1).sum(1).mean())
        for y in (s.model.decode(s.model.encode(x)), x.mean(0))
    )
    expect(error <= FARTHER * floor, f"squared error {error:.4g}, that of the mean {floor:.4g}")


@check("velocity(z, t) must have the shape of z and be finite on the whole span", needs=HasVelocity)
def velocity_has_the_shape_of_its_point(s: Subject) -> None:
    z, _ = s.model.embed(s.data(7).x, generator=s.generator("embed"))
    for t in s.model.span:
        v = s.model.velocity(z, t)
        expect(v.shape == z.shape, f"{tuple(v.shape)} at points of {tuple(z.shape)}")
        expect(v.isfinite().all(), f"not finite at t = {t}")


@check(
    "the velocity of a point alone differs from that of the same point in a batch: something is computed"
    " over the batch",
    needs=HasVelocity,
)
def velocity_of_a_point_ignores_its_batch(s: Subject) -> None:
    z, _ = s.model.embed(s.data(7).x, generator=s.generator("embed"))
    for t in s.model.span:
        together = s.model.velocity(z, t)
        alone = torch.cat([s.model.velocity(row[None], t) for row in z])
        worst = float((together - alone).abs().max())
        expect(torch.allclose(together, alone, 1e-4, 1e-4), f"by up to {worst:.3g} at t = {t}")


@check(
    "the probabilities that velocity, embed and base_log_prob give together do not sum to one over all"
    " data: the scale that embed returns or a constant of the base is wrong, or the velocity is not"
    " differentiable in all of its dependence on z",
    needs=HasVelocity,
    enumerable=True,
)
def flow_sums_to_one(s: Subject) -> None:
    """True of any field, right or wrong, whose divergence is its own: exp(nats) has no bias."""
    flow = ProbabilityFlow(s.model, solver="rk4", steps=STEPS)
    space = s.space.coarse
    draws = 1 if space.spec.support is Support.REAL else DRAWS
    repeats = [flow(space.states, generator=s.generator("flow", d)).nats for d in range(draws)]
    p = torch.stack(repeats).exp() * space.volume
    error = p.var(0).sum().div(draws).sqrt() if draws > 1 else p.new_zeros(())
    total = Estimate(p.mean(0).sum(), error)
    sigmas = float(total.sigmas(1.0, max(0.01, space.tolerance)).abs())
    detail = f"{float(total.mean):.4f} ± {float(total.error):.4f}"
    expect(sigmas <= SIGMAS, f"they sum to {detail}")


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
        said = f"it says {float(claimed):.4f}, and differentiation finds {float(found):.4f}"
        expect((found - claimed).abs() < CLOSE, said)
