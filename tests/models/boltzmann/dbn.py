"""Small deep belief networks and sums over all of their states, by hand."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.contracts import DataSpec, Support
from genlab.models.boltzmann import DBN

CLASSES = 3


def spec(size: int, support: Support = Support.BINARY) -> DataSpec:
    return DataSpec("small", "made up", (size,), support, classes=CLASSES)


def table(units: int) -> Tensor:
    """(2^units, units) all states."""
    return torch.tensor(list(product((0.0, 1.0), repeat=units)), dtype=torch.float64)


def codes(bits: Tensor) -> Tensor:
    places = 2 ** torch.arange(bits.shape[1] - 1, -1, -1)
    return (bits.long() * places).sum(1)


def random_dbn(
    size: int, hidden: tuple[int, ...], scale: float = 1.0, seed: int = 0, **options
) -> DBN:
    """Of bits, with all parameters from N(0, scale²), float64; recognition apart where it can be."""
    model = DBN(spec(size), hidden, transitions=100, **options).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = scale * noise
    model.top.machine.visible.data[model.top.spec.size :] = 0  # no label is rare
    if model.up_down is not None:
        model.up_down.begun.fill_(True)
    return model.requires_grad_(False).eval()


def layer_tables(model: DBN) -> list[tuple[Tensor, Tensor]]:
    """Of each directed layer: log p(low | high): (2^D, 2^H) and log q(high | low): (2^D, 2^H)."""
    tables = []
    for number, below in enumerate(model.machines[:-1]):
        machine = below.machine
        up, c = machine.weight, machine.hidden
        down, b = machine.weight, machine.visible
        if model.up_down is not None and model.up_down.begun:
            own = model.up_down.untied[number]
            up, c, down, b = own.up_weight, own.up_bias, own.down_weight.T, own.down_bias
        else:
            c = c - up @ machine.visible_offset
            b = b - machine.hidden_offset @ down
        low, high = table(down.shape[1]), table(down.shape[0])
        tables.append((_log_bits(low, high @ down + b), _log_bits(high, low @ up.T + c).T))
    return tables


def _log_bits(s: Tensor, z: Tensor) -> Tensor:
    """(S, Z) log-probability of bits s: (S, n) with log-odds z: (Z, n)."""
    return s @ z.T - F.softplus(z).sum(1)


def top_table(model: DBN) -> Tensor:
    """(2^D, C or 1) −F of the top machine, of all its visible units and labels; one column without."""
    machine = model.top.machine
    plain = machine.couplings()
    size = model.top.spec.size
    labels = torch.eye(CLASSES, dtype=torch.float64) if model.classifies else torch.zeros(1, 0)
    columns = []
    for label in labels.double():
        v = torch.cat([table(size), label.expand(2**size, -1)], dim=1)
        h = table(machine.hidden_units.size)
        columns.append(
            (v @ plain.weight.T @ h.T + (v @ plain.visible)[:, None] + h @ plain.hidden).logsumexp(
                1
            )
        )
    return torch.stack(columns, dim=1)


def exact_log_z(model: DBN) -> float:
    return float(top_table(model).flatten().logsumexp(0))


def exact_log_p(model: DBN) -> Tensor:
    """(2^D, C or 1) log p(v, y) of all data and labels."""
    log_p = top_table(model) - exact_log_z(model)
    for down, _ in reversed(layer_tables(model)):
        log_p = (down[:, :, None] + log_p).logsumexp(1)
    return log_p


def exact_bound(model: DBN) -> Tensor:
    """(2^D,) E_q[log w] − log Z of all data, for two layers."""
    ((down, up),) = layer_tables(model)
    log_w = down + top_table(model).logsumexp(1) - up
    return (up.exp() * log_w).sum(1) - exact_log_z(model)
