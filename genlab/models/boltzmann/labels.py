"""Label units: one softmax unit beside the visible ones, so that images and labels are modelled
together.

With d: (C,) the biases of the labels and U: (H, C) their weights, h summed out,

  log p(v, y) = bᵀv − e(v) + d_y + A_h(Wv + U_y + c) − log Z,

from which p(v) and p(y | v) follow by a sum over the C labels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from genlab.contracts import DataSpec, UnsupportedData
from genlab.models.boltzmann.couplings import Couplings
from genlab.models.boltzmann.units import Joint, Softmax, Units


def with_labels(units: Units, spec: DataSpec) -> Joint:
    """The units and a label unit. Raises UnsupportedData for data without labels."""
    if not spec.classes:
        raise UnsupportedData(f"model.labels=true needs data with labels; {spec.name} has none")
    return Joint([units, Softmax(spec.classes)])


def attach(v: Tensor, label: Tensor, classes: int) -> Tensor:
    """(n, D + C) of v: (n, D) and label: (n,) int64."""
    return torch.cat([v, F.one_hot(label, classes).to(v.dtype)], dim=1)


def log_joint(machine: Couplings, v: Tensor, classes: int) -> Tensor:
    """(n, C) log p(v, y) + log Z of v: (n, D) and every label y, in nats."""
    size = v.shape[1]
    own = Couplings(
        machine.weight[:, :size],
        machine.visible[:size],
        machine.hidden,
        machine.visible_units,
        machine.hidden_units,
    )
    z = own.activation(v)
    hidden = [
        machine.hidden_units.log_partition(z + machine.weight[:, size + y]) for y in range(classes)
    ]
    nobody = v.new_zeros(len(v), classes)
    base = machine.visible_units.energy(torch.cat([v, nobody], dim=1))
    return (v @ own.visible - base)[:, None] + machine.visible[size:] + torch.stack(hidden, dim=1)
