"""Completion: draws of what is not known, given what is."""

from __future__ import annotations

from genlab.contracts import Completes, Observed
from genlab.testing.check import Skip, check, expect
from genlab.testing.checks.evidence import evidence_for
from genlab.testing.checks.likelihood import need_exact
from genlab.testing.statistics import SIGNIFICANT, g_test
from genlab.testing.subject import Subject

DRAWS = 4000  # for each piece of evidence
PIECES = 5


@check(
    "complete must return draws (n, B, *shape) that lie in the support of the data", needs=Completes
)
def completions_have_the_shape_of_the_data(s: Subject) -> None:
    expect(bool(s.model.completes), "completes is empty")
    for evidence in evidence_for(s):
        for n in (1, 3):
            x = s.model.complete(evidence, n, generator=s.generator("complete", n))
            wanted = (n, PIECES, *s.space.spec.shape)
            kind = type(evidence).__name__
            expect(tuple(x.shape) == wanted, f"{kind}: shape {tuple(x.shape)}, not {wanted}")
            expect(s.space.spec.contains(x.flatten(0, 1)), f"{kind}: outside of the support")


@check("complete must keep every observed entry exactly as it was observed", needs=Completes)
def completions_keep_what_was_observed(s: Subject) -> None:
    for evidence in evidence_for(s):
        if isinstance(evidence, Observed):
            x = s.model.complete(evidence, 8, generator=s.generator("keep"))
            changed = int(((x != evidence.x) & evidence.mask).sum())
            expect(
                changed == 0,
                f"{changed} of {8 * int(evidence.mask.sum())} observed entries changed",
            )


@check(
    "completions do not follow the model's own conditional distribution p(x | evidence): drawing the rest"
    " from the marginal, or from the wrong row of a batch, looks like this",
    needs=Completes,
    enumerable=True,
)
def completions_follow_the_conditional(s: Subject) -> None:
    need_exact(s)
    pieces = evidence_for(s)
    if not pieces:
        raise Skip("no kind of evidence that the model takes exists on this space")
    for evidence in pieces:
        x = s.model.complete(evidence, DRAWS, generator=s.generator("conditional"))
        log_r = evidence.log_r(s.space.states[:, None])
        for b in range(PIECES):
            p = g_test(s.space.counts(x[:, b]), s.posterior(log_r[:, b]))
            detail = f"{type(evidence).__name__}, piece {b}: G-test of {DRAWS} draws: p = {p:.1g}"
            expect(p > SIGNIFICANT, detail)
