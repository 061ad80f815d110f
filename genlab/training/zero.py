"""ZeRO, stage 2: each process keeps all weights, and a part of the gradients and of the optimizer's state.

DeepSpeed's engine averages the gradients and makes the steps. Lightning's own strategy for it demands GPUs
and leaves folders of pickled files; this one leaves the checkpoint of any other strategy, in which the
optimizer's state is that of one process.

Source: S. Rajbhandari et al., ZeRO: memory optimizations toward training trillion parameter models, SC
2020, https://arxiv.org/abs/1910.02054
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from itertools import chain
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, nn, optim

from genlab.contracts import Stage, UsageError
from genlab.contracts.training import adam
from genlab.training.curves import NonFinite, of

PRECISIONS = ("32-true", "bf16-mixed")
# A process steps on one flat piece of a group, which may begin in the middle of a weight. (In the place of
# Adagrad, DeepSpeed would put one of its own.)
ELEMENTWISE = (
    optim.Adam,
    optim.AdamW,
    optim.Adamax,
    optim.NAdam,
    optim.RAdam,
    optim.RMSprop,
    optim.SGD,
)
OF_ALL = ("step", "mu_product")  # what these keep for a whole weight

# DeepSpeed calls torch by an older name.
warnings.filterwarnings("ignore", message=".*all_gather_into_tensor.*", category=FutureWarning)


def is_installed() -> bool:
    """Whether there is a DeepSpeed to import."""
    return find_spec("deepspeed") is not None


def require_elementwise(stages: Sequence[Stage]) -> None:
    """Raise UsageError for an optimizer that is not known to treat each number by itself."""
    for stage in (stage for stage in stages if stage.solve is None):
        optimizer = (stage.optimizer or adam)(list(stage.module.parameters()))
        if not isinstance(optimizer, ELEMENTWISE):
            raise UsageError(
                f"stages.{stage.name}.optimizer: trainer=deepspeed cuts weights into pieces, which is not "
                f"for {type(optimizer).__name__}: choose {', '.join(k.__name__ for k in ELEMENTWISE)}, or "
                "trainer=ddp"
            )


class Zero(DDPStrategy):
    """Lightning sees the optimizer that the stage made, whose parameters are now this process's pieces."""

    _engine: Any = None

    def configure_ddp(self) -> None:
        """Nothing: the engine, which takes the place of that wrapper, is made with the optimizer."""

    def setup_optimizers(self, trainer: Trainer) -> None:
        super().setup_optimizers(trainer)
        (self._optimizer,) = self.optimizers
        self._weights = [list(group["params"]) for group in self._optimizer.param_groups]
        assert isinstance(self.model, nn.Module)
        self._engine = _engine(self.model, self._optimizer, self.root_device.type, _config(trainer))
        self.model = self._engine

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        module: Any = self.lightning_module
        accumulates = module.trainer.fit_loop._should_accumulate()
        self._engine.set_gradient_accumulation_boundary(not accumulates)
        return super().training_step(*args, **kwargs)

    def block_backward_sync(self) -> AbstractContextManager[None]:
        """Gradients that are accumulated are in pieces already."""
        return nullcontext()

    def backward(self, closure_loss: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        module: Any = self.lightning_module
        loss: Any = self.precision_plugin.pre_backward(closure_loss, module)  # which calls hooks
        self._engine.backward(loss)
        done: Any = self.precision_plugin.post_backward(loss, module)
        return done

    def optimizer_step(
        self, optimizer: Any, closure: Callable[[], Any], *_args: Any, **_kwargs: Any
    ) -> Any:
        """The engine clips, too. Raises NonFinite where it would pass over the step."""
        module: Any = self.lightning_module
        result = self.precision_plugin._wrap_closure(module, optimizer, closure)
        self._take_over()
        self._engine.step()
        if self._engine.optimizer.overflow:
            raise NonFinite(
                f"a gradient is not finite in step {module.trainer.global_step + 1} of stage "
                f"{module.stage.name!r}{of(module.stage)}",
                "try a smaller learning rate",
            )
        return result

    def _take_over(self) -> None:
        """The weights as they are: a loss may have moved them itself, as the centring of a machine does."""
        from deepspeed.utils import safe_set_full_fp32_param

        for weight in chain.from_iterable(self._weights):
            safe_set_full_fp32_param(weight, weight.detach())

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Without the engine's one memory of all weights and its padding."""
        return {name: x.clone() for name, x in super().lightning_module_state_dict().items()}

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """As one process would have it: on the CPU, and on rank 0 alone."""
        state, groups = {}, []
        for group, piece, weights in self._pieces():
            own = self._optimizer.state.get(piece, {})
            if own:
                self._link(piece, weights.values())
            for number, weight in weights.items():
                whole = {key: self._gathered(weight, key, value) for key, value in own.items()}
                state[number] = whole if self.is_global_zero else {}
            groups.append({**group, "params": list(weights)})
        return {"state": state, "param_groups": groups}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        (found,) = checkpoint["optimizer_states"]
        for saved, (group, piece, weights) in zip(
            found["param_groups"], self._pieces(), strict=True
        ):
            group.update({key: value for key, value in saved.items() if key != "params"})
            kept = [found["state"].get(number, {}) for number in saved["params"]]
            _require_alike(kept)
            there = piece.device if group.get("fused") or group.get("capturable") else "cpu"
            self._optimizer.state[piece] = {
                key: torch.zeros_like(piece) if _is_cut(key, value) else _on(there, value)
                for key, value in kept[0].items()
            }
            self._link(piece, weights.values())
            for weight, own in zip(weights.values(), kept, strict=True):
                self._set(weight, own)

    def teardown(self) -> None:
        """Let go of the engine, which hooks on its own weights would keep."""
        engine, self._engine, self.model = self._engine, None, self.lightning_module
        try:
            if engine is not None:
                engine.destroy()
        finally:
            super().teardown()

    def _pieces(self) -> Iterator[tuple[dict[str, Any], Tensor, dict[int, Tensor]]]:
        """Each group of the optimizer, this process's flat piece of it, and its weights by number."""
        count = 0
        for group, weights in zip(self._optimizer.param_groups, self._weights, strict=True):
            (piece,) = group["params"]
            yield group, piece, dict(enumerate(weights, count))
            count += len(weights)

    def _link(self, piece: Tensor, weights: Iterable[Tensor]) -> None:
        """Let weights find their part of what is kept of a piece. DeepSpeed does so once, after the first
        group's first step; other groups have nothing then, and momentum may begin later.
        """
        from deepspeed.utils import lazy_init_hp_params_optimizer_state

        lazy_init_hp_params_optimizer_state(weights, piece, self._optimizer.state)

    def _set(self, weight: Tensor, kept: Mapping[str, Any]) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        for key in (key for key, value in kept.items() if _is_cut(key, value)):
            safe_set_full_optimizer_state(weight, kept[key], key)

    def _gathered(self, weight: Tensor, key: str, value: Any) -> Any:
        from deepspeed.utils import safe_get_full_optimizer_state

        if not _is_cut(key, value):
            return _on("cpu", value)
        whole: Any = safe_get_full_optimizer_state(weight, key)
        return whole.cpu() if self.is_global_zero else None


def _is_cut(key: str, value: Any) -> bool:
    """Whether it has a number for each of a weight's."""
    return isinstance(value, Tensor) and key not in OF_ALL


def _require_alike(kept: Sequence[Mapping[str, Any]]) -> None:
    """Raise UsageError where weights of one group have taken part in different steps."""
    own = [{key: v if not _is_cut(key, v) else "" for key, v in each.items()} for each in kept]
    if any(each != own[0] for each in own):
        raise UsageError(
            "trainer=deepspeed makes steps of all weights together, and in those that were made some took "
            "no part: go on with trainer=ddp trainer.strategy=ddp_find_unused_parameters_true"
        )


def _on(device: Any, value: Any) -> Any:
    return value.to(device, copy=True) if isinstance(value, Tensor) else value


def _engine(model: nn.Module, optimizer: Any, device: str, config: dict[str, Any]) -> Any:
    os.environ["DS_ACCELERATOR"] = device
    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    deepspeed.ops.__dict__["__compatible_ops__"] = {}  # of its own kernels, which it would compile
    return deepspeed.initialize(
        model=model, optimizer=optimizer, config=config, dist_init_required=False
    )[0]


def _config(trainer: Trainer) -> dict[str, Any]:
    """Lightning divides the loss by the batches that are accumulated, and says when they end."""
    return {
        "train_micro_batch_size_per_gpu": 1,  # which only its own logs would say
        "gradient_clipping": trainer.gradient_clip_val or 0.0,
        "zero_optimization": {"stage": 2},
        "zero_allow_untested_optimizer": True,
        "torch_autocast": {
            "enabled": trainer.precision == "bf16-mixed",
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],  # whose gradients would be averaged in half precision
        },
    }
