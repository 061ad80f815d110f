"""Precision: a model computes in float64 what it computes in float32, and its loss can be autocast."""

from __future__ import annotations

import copy

import torch

from genlab.contracts import Guarantee, HasLikelihood
from genlab.testing.ambient import ambient
from genlab.testing.check import check, expect
from genlab.testing.subject import Subject
from genlab.testing.training import SkewedData

CLOSE = 1e-3
ROWS = 64


@check(
    "in double precision (model.double(), x in float64) an exact likelihood must be what it is in single,"
    " up to rounding: a tensor is made with a fixed dtype, or something overflows in float32",
    needs=HasLikelihood,
)
def double_precision_gives_the_same_likelihood(s: Subject) -> None:
    x = s.distinct(16)
    wide = (
        copy.deepcopy(s.model).double().log_likelihood(x.double(), generator=s.generator("double"))
    )
    expect(bool(wide.nats.isfinite().all()), "it is not finite")
    if s.model.guarantee is Guarantee.EXACT:
        narrow = s.likelihood(x, "double").nats.double()
        far = (wide.nats.double() - narrow).abs().max().item()
        expect(far <= CLOSE * (1 + narrow.abs().max().item()), f"{far:.2g} nats apart")


@check(
    "under torch.autocast in bfloat16 every stage's loss and its gradients must be finite: compute what is"
    " small beside what it is taken from (log-sum-exp, variances) with autocast disabled"
)
def loss_is_finite_in_bfloat16(s: Subject) -> None:
    batch = SkewedData(s.space, s.seed).dataset("train")[torch.arange(ROWS)]
    model = s.fresh_model(s.build, s.space, s.seed)
    model.load_state_dict(s.model.state_dict())
    for stage in model.stages():
        if stage.solve is not None:
            continue
        model.enter(stage)
        model.zero_grad()
        with torch.enable_grad(), ambient("bfloat16", s.seed):
            with torch.autocast("cpu", torch.bfloat16):
                loss = stage.loss(batch)
            loss.float().backward()
        expect(bool(loss.isfinite()), f"the loss of stage {stage.name} is {loss.item()}")
        for name, p in stage.module.named_parameters():
            finite = p.grad is None or bool(p.grad.isfinite().all())
            expect(finite, f"the gradient of {name} in stage {stage.name} is not finite")
