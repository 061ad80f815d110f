"""A model in four stages that can be killed at any moment: each trains another part in another way."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from genlab.contracts import Batch, DataSpec, GenerativeModel, Stage

HIDDEN = 12


def moment(name: str) -> None:
    """Write down that this moment was reached; where the test asked for it, send this process a signal."""
    if "STAGED_TRACE" in os.environ:
        with Path(os.environ["STAGED_TRACE"]).open("a") as file:
            file.write(f"{name}\n")
    chosen = os.environ.get("STAGED_RANK") or os.environ.get("GENLAB_RANK", "0")
    if os.environ.get("STAGED_KILL") == name and chosen == os.environ.get("GENLAB_RANK", "0"):
        os.kill(os.getpid(), int(os.environ.get("STAGED_SIGNAL", signal.SIGKILL)))


class Staged(GenerativeModel):
    """encode, with noise, averaged weights, begin and schedules; chain, with state of each process
    and no validation values; decode, with patience; mean, in closed form."""

    def __init__(
        self, spec: DataSpec, name: str = "", rate: float = 0.05, poison: bool = False
    ) -> None:
        super().__init__(spec)
        self.name, self.rate, self.poison = name, rate, poison
        self.encoder = nn.Linear(spec.size, HIDDEN)
        self.decoder = nn.Linear(HIDDEN, spec.size)
        self.rates = nn.ParameterDict({"codes": torch.zeros(HIDDEN)})
        self.mean = nn.ParameterDict({"x": torch.zeros(spec.size)})
        self.chain: Tensor | None = None

    def stages(self):
        sgd = partial(torch.optim.SGD, lr=self.rate, momentum=0.5)
        return (
            Stage(
                "encode",
                self.encoder,
                self.denoise,
                optimizer=sgd,
                max_epochs=2,
                lr_schedule={150: 0.1},
                momentum_schedule={60: 0.9},
                ema=0.9,
                begin=self.begin_encoder,
            ),
            Stage(
                "chain",
                self.rates,
                self.contrast,
                validate=self.nothing,
                optimizer=sgd,
                max_epochs=2,
                lr_schedule="linear",
                begin=self.begin_rates,
            ),
            Stage(
                "decode", self.decoder, self.loss, max_epochs=3, lr_schedule="cosine", patience=2
            ),
            Stage("mean", self.mean, self.loss, solve=self.solve),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(1)).sigmoid()

    @torch.no_grad()
    def begin_encoder(self, batch: Batch) -> None:
        self.encoder.weight.add_(0.1 * torch.randn_like(self.encoder.weight))
        self.moment("within begin of encode")
        self.encoder.bias.copy_(-self.encoder(batch.x.flatten(1)).mean(0))

    @torch.no_grad()
    def begin_rates(self, batch: Batch) -> None:
        codes = self.encode(batch.x).mean(0)
        self.rates["codes"].copy_(torch.where(torch.rand(HIDDEN) < 0.5, codes.logit(), 0))
        self.moment("within begin of chain")
        self.rates["codes"].add_(1)

    def denoise(self, batch: Batch) -> Tensor:
        x = batch.x.flatten(1)
        codes = self.encode(x * (torch.rand_like(x) < 0.8))
        loss = (self.decoder(codes) - x).square().sum(1).mean()
        if self.poison and self.trainer.global_rank == 1 and self.trainer.global_step == 49:
            return loss * torch.nan  # on one process, just before both read their losses
        return loss

    def contrast(self, batch: Batch) -> Tensor:
        """Its chains walk on with the randomness of their process."""
        chain = torch.zeros(len(batch.x), HIDDEN) if self.chain is None else self.chain
        noise = torch.rand_like(chain)
        self.chain = torch.where(noise < 0.5, chain, self.rates["codes"].detach() + noise)
        difference = self.encode(batch.x).mean(0) - self.chain.mean(0).sigmoid()
        return -(self.rates["codes"] * difference).sum()

    def nothing(self, batch: Batch) -> dict[str, Tensor]:
        return {}

    def errors(self, batch: Batch) -> Tensor:
        x = batch.x.flatten(1)
        return (self.decoder(self.encode(x)) + self.mean["x"] - x).square().sum(1)

    def loss(self, batch: Batch) -> Tensor:
        return self.errors(batch).mean()

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"error": self.errors(batch)}

    def solve(self, batches) -> None:
        total = sum((b.x.flatten(1) - self.decoder(self.encode(b.x))).sum(0) for b in batches)
        self.moment("within solve of mean")
        self.mean["x"].copy_(total / sum(len(b.x) for b in batches))

    def rank_state(self) -> dict[str, Tensor]:
        return {} if self.chain is None else {"chain": self.chain}

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        self.chain = state.get("chain")

    def sample(self, n, *, label=None, generator):
        self.moment("sample")
        return torch.zeros(n, *self.spec.shape)

    # ------------------------------------------------------------------- moments at which it may be killed

    def moment(self, name: str) -> None:
        moment(f"{self.name}: {name}" if self.name else name)

    def enter(self, stage: Stage) -> None:
        self.moment(f"before {stage.name}")
        super().enter(stage)

    def on_after_backward(self) -> None:
        self.moment(f"step {self.trainer.global_step} of {self.stage.name}")

    def on_validation_end(self) -> None:
        self.moment(f"validation {self.trainer.current_epoch} of {self.stage.name}")

    def on_fit_end(self) -> None:
        """After the stage's last checkpoint, before the mark that it has finished."""
        size = sum(parameter.detach().double().square().sum() for parameter in self.parameters())
        self.moment(f"weights after {self.stage.name}: {float(size)!r}")
        self.moment(f"end of {self.stage.name}")
