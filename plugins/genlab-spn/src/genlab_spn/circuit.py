"""A sparse sum-product network over indicators [x_d = b], evaluated step by step for many data at once.

Nodes are numbered from the leaves to the root: first the D · L indicators, then sums and products in
steps. A step is all nodes of one kind, one level and one number of children, so that their children form
a rectangle:

    product  v_i = Σ_j v_child(i,j)                     sum  v_i = log Σ_j exp(log w_ij + v_child(i,j))

with values v in nats, and the root's value log p of what is observed: an indicator of an entry that is
not observed has the value log 1 for every b. The flow of a node, f_i = ∂ v_root / ∂ v_i, is the
probability that the node takes part, given what is observed; that of an edge, f_ij = f_i w_ij
exp(v_child(i,j) - v_i), is the derivative by log w_ij and so the expected count of the EM algorithm
(Darwiche 2003, "A differential approach to inference in Bayesian networks"; Peharz et al. 2017, arXiv
1601.06180).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Layout:
    """steps: (S, 3) int64: whether they are sums, how many nodes, how many children each has. child: (E,)
    int64, the children of every node, in order. log_weight: (W,) of the children of sums, in order.
    """

    steps: Tensor
    child: Tensor
    log_weight: Tensor


class Builder:
    """Nodes are made children first; each call returns the number of its node."""

    def __init__(self, indicators: int) -> None:
        self.indicators = indicators
        self.level = [0] * indicators
        self.children: list[Sequence[int]] = []
        self.log_weights: list[Sequence[float]] = []  # empty for a product

    def sum(self, children: Sequence[int], log_weights: Sequence[float]) -> int:
        return self._add(children, log_weights)

    def product(self, children: Sequence[int]) -> int:
        return children[0] if len(children) == 1 else self._add(children, ())

    def _add(self, children: Sequence[int], log_weights: Sequence[float]) -> int:
        self.level.append(1 + max(self.level[c] for c in children))
        self.children.append(children)
        self.log_weights.append(log_weights)
        return len(self.level) - 1

    def layout(self) -> Layout:
        """The node that was made last is the root, and all others are below it."""
        sums = np.array([bool(weights) for weights in self.log_weights])
        arity = np.array([len(children) for children in self.children])
        level = np.array(self.level[self.indicators :])
        order = np.lexsort((arity, sums, level))
        number = np.arange(len(self.level))
        number[self.indicators + order] = self.indicators + np.arange(len(order))
        kinds = np.stack([level, sums, arity], 1)[order]
        first = np.flatnonzero(np.r_[True, (kinds[1:] != kinds[:-1]).any(1)])
        count = np.diff(np.r_[first, len(order)])
        child = np.concatenate([self.children[i] for i in order])
        weights = [w for i in order for w in self.log_weights[i]]
        return Layout(
            torch.from_numpy(np.stack([kinds[first, 1], count, kinds[first, 2]], 1)),
            torch.from_numpy(number[child]),
            torch.tensor(weights, dtype=torch.float32),
        )


@dataclass(frozen=True)
class Step:
    """nodes: their numbers. child: (n · a,). weights: where the (n · a,) weights of sums stand, else
    None.
    """

    nodes: slice
    child: Tensor
    arity: int
    weights: slice | None

    def below(self, values: Tensor) -> Tensor:
        """(n, a, B) the values of the children."""
        return values[self.child].unflatten(0, (-1, self.arity))

    def terms(self, values: Tensor, log_weight: Tensor) -> Tensor:
        """(n, a, B) log w_ij + v_child(i,j) of sums."""
        return self.below(values) + log_weight[self.weights].view(-1, self.arity, 1)

    def posterior(self, values: Tensor, log_weight: Tensor) -> Tensor:
        """(n, a, B) the share that each child has in its sum; the shares sum to one."""
        return (self.terms(values, log_weight) - values[self.nodes].unsqueeze(1)).exp()


class Circuit(nn.Module):
    """logits: (W,), whose softmax over the children of each sum are the weights."""

    steps: Tensor
    child: Tensor

    def __init__(self, indicators: int, layout: Layout) -> None:
        super().__init__()
        self.indicators = indicators
        self.register_buffer("steps", layout.steps)
        self.register_buffer("child", layout.child)
        self.logits = nn.Parameter(layout.log_weight)
        self.register_load_state_dict_pre_hook(_make_room)

    def rebuild(self, layout: Layout) -> None:
        """Take another structure and its weights."""
        device = self.child.device
        self.steps, self.child = layout.steps.to(device), layout.child.to(device)
        self.logits = nn.Parameter(layout.log_weight.to(device))

    @property
    def nodes(self) -> int:
        return self.indicators + int(self.steps[:, 1].sum())

    def walk(self) -> Iterator[Step]:
        """From the leaves to the root."""
        node, edge, weight = self.indicators, 0, 0
        for is_sum, n, arity in self.steps.tolist():
            edges = n * arity
            child = self.child[edge : edge + edges]
            weights = slice(weight, weight + edges) if is_sum else None
            yield Step(slice(node, node + n), child, arity, weights)
            node, edge, weight = node + n, edge + edges, weight + edges * is_sum

    # ------------------------------------------------------------------------------------- weights

    def normalise(self, logits: Tensor) -> Tensor:
        """(W,) log-weights: the exponentials of the children of each sum are made to sum to one."""
        arity = self._arity_of_sums()
        owner = torch.arange(len(arity), device=logits.device).repeat_interleave(arity)
        zero = logits.new_zeros(len(arity))
        top = zero.scatter_reduce(0, owner, logits.detach(), "amax", include_self=False)
        total = zero.index_add(0, owner, (logits - top[owner]).exp())
        return logits - (top + total.log())[owner]

    def fan_out(self) -> Tensor:
        """(W,) how many children the sum has whose child this is."""
        arity = self._arity_of_sums()
        return arity.repeat_interleave(arity)

    def _arity_of_sums(self) -> Tensor:
        """(sums,)"""
        _, n, arity = self.steps[self.steps[:, 0] == 1].T
        return arity.repeat_interleave(n)

    # ---------------------------------------------------------------------------------- evaluation

    def log_prob(self, log_weight: Tensor, indicators: Tensor) -> Tensor:
        """(B,) the root's value, differentiable in log_weight: (W,). indicators: (D · L, B) 0 or -inf."""
        return _Root.apply(log_weight, indicators, self)  # type: ignore[return-value]

    def upward(self, log_weight: Tensor, indicators: Tensor) -> Tensor:
        """(nodes, B) values."""
        values = indicators.new_empty(self.nodes, indicators.shape[1])
        values[: self.indicators] = indicators
        for step in self.walk():
            if step.weights is None:
                torch.sum(step.below(values), 1, out=values[step.nodes])
            else:
                torch.logsumexp(step.terms(values, log_weight), 1, out=values[step.nodes])
        return values

    def downward(self, values: Tensor, log_weight: Tensor, root: Tensor) -> Tensor:
        """(W,) flows of the children of sums, weighted by root: (B,) and summed over the data."""
        flow, total = torch.zeros_like(values), torch.empty_like(log_weight)
        flow[-1] = root
        for step in reversed(list(self.walk())):
            share = flow[step.nodes].unsqueeze(1)
            if step.weights is None:
                share = share.expand(-1, step.arity, -1)
            else:
                share = step.posterior(values, log_weight) * share
                total[step.weights] = share.sum(2).flatten()
            flow.index_add_(0, step.child, share.flatten(0, 1))
        return total

    def draw(self, values: Tensor, log_weight: Tensor, n: int, generator: Generator) -> Tensor:
        """(D · L, n, B) bool: the indicators of n data for each column of values: (nodes, B).

        From the root down, a product takes all of its children and a sum one, in proportion to its flow. In
        float64, where a uniform number of 24 bits never falls behind the last child that is possible.
        """
        size = (n, values.shape[1])
        taken = torch.zeros(self.nodes, *size, dtype=torch.uint8, device=values.device)
        taken[-1] = 1
        for step in reversed(list(self.walk())):
            own = taken[step.nodes].unsqueeze(1)
            if step.weights is None:
                chosen = own.expand(-1, step.arity, *size)
            else:
                u = torch.rand(len(own), 1, *size, generator=generator, device=values.device)
                below = step.terms(values, log_weight).double().softmax(1).cumsum(1)[:, :-1]
                choice = (below.unsqueeze(2) <= u).sum(1, keepdim=True)
                which = torch.arange(step.arity, device=values.device).view(-1, 1, 1)
                chosen = (choice == which) * own
            taken.index_add_(0, step.child, chosen.flatten(0, 1))
        return taken[: self.indicators] > 0


class _Root(torch.autograd.Function):
    """The root's value, with flows as its derivative: one pass down in place of a graph of small steps."""

    @staticmethod
    def forward(ctx: Any, log_weight: Tensor, indicators: Tensor, circuit: Circuit) -> Tensor:
        values = circuit.upward(log_weight, indicators)
        ctx.save_for_backward(values, log_weight)
        ctx.circuit = circuit
        return values[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        values, log_weight = ctx.saved_tensors
        return ctx.circuit.downward(values, log_weight, grads[0]), None, None


def _make_room(circuit: Circuit, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Before a state is loaded: take on the sizes of the structure that it holds."""
    own = {name: getattr(circuit, name) for name in ("steps", "child", "logits")}
    found = {name: state[prefix + name] for name in own if prefix + name in state}
    if len(found) < len(own) or all(found[name].shape == own[name].shape for name in own):
        return
    steps, child, logits = (torch.empty_like(tensor) for tensor in found.values())
    circuit.rebuild(Layout(steps, child, logits))
