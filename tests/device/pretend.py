"""The pretended device in torch, Lightning and genlab: what is wrong on a GPU is wrong here.

A process that has called ``install`` trains on it, and with ``trainer.strategy=ddp`` two do. As with NCCL,
tensors that travel between these must lie on it.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from pytorch_lightning.accelerators import Accelerator, AcceleratorRegistry
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from torch import Tensor, distributed, nn
from torch._C import _distributed_c10d as c10d
from torch.nn.functional import linear

from genlab.training.settings import TrainerSettings

HERE = torch.device("cpu")  # until there is another
SOURCE = Path(__file__).with_name("pretend.cpp")


def build(folder: Path) -> Path:
    """Compile it. Raises RuntimeError where that cannot be done."""
    from torch.utils.cpp_extension import load

    options = {"extra_cflags": ["-O0"], "build_directory": str(folder), "is_python_module": False}
    load("pretend", [str(SOURCE)], **options)
    return folder / "pretend.so"


def install(library: str) -> None:
    """Make the device known, and the one that genlab takes where it finds a GPU."""
    global HERE
    torch.ops.load_library(library)
    torch.utils.rename_privateuse1_backend("pretend")
    torch._register_device_module("pretend", _module())
    HERE = torch.device("pretend:0")
    distributed.Backend.register_backend("pretended", _group, devices=["pretend"])
    distributed.distributed_c10d._get_object_coll_device = lambda _=None: HERE  # type: ignore[assignment]
    distributed.init_process_group = _without_device(distributed.init_process_group)
    AcceleratorRegistry.register("pretend", Pretended, "")
    nn.LSTMCell.forward = _cell  # type: ignore[method-assign]
    TrainerSettings.device = property(lambda self: "pretend")  # type: ignore[assignment]
    TrainerSettings._strategy = property(_strategy)  # type: ignore[assignment]


def _cell(self: nn.LSTMCell, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of single operations: elsewhere than on the CPU torch has it as one, which each device must bring."""
    h, c = state
    gates = linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh, self.bias_hh)
    take, forget, new, give = gates.chunk(4, 1)
    c = forget.sigmoid() * c + take.sigmoid() * new.tanh()
    return give.sigmoid() * c.tanh(), c


def _module() -> types.ModuleType:
    """What stands at torch.cuda for a GPU."""
    module = types.ModuleType("torch.pretend")
    module.__dict__.update(
        is_available=lambda: True,
        is_initialized=lambda: True,
        _is_in_bad_fork=lambda: False,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda _: None,
        manual_seed_all=lambda _: None,
        get_amp_supported_dtype=lambda: [torch.bfloat16],
    )
    return module


class Pretended(Accelerator):
    def setup_device(self, device: torch.device) -> None:
        pass

    def teardown(self) -> None:
        pass

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        return {}

    @staticmethod
    def parse_devices(devices: int) -> int:
        return devices

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        return [HERE] * devices

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "pretend"


class Two(DDPStrategy):
    def determine_ddp_device_ids(self) -> None:
        """None, as on the CPU: with numbers Lightning would ask for streams of CUDA."""


def _strategy(settings: TrainerSettings) -> Strategy:
    if settings.processes == 1:
        return SingleDeviceStrategy(HERE)
    return Two(parallel_devices=[HERE] * 2, process_group_backend="pretended")


def _without_device(init: Any) -> Any:
    return lambda *given, device_id=None, **options: init(*given, **options)


class Group(distributed.ProcessGroup):
    """Collectives of gloo, for tensors of the device alone."""

    def __init__(self, rank: int, size: int, gloo: Any) -> None:
        super().__init__(rank, size)
        self.gloo = gloo

    def getBackendName(self) -> str:
        return "pretended"

    def allreduce(self, tensors: Any, opts: Any = None) -> Any:
        tensors = [tensors] if isinstance(tensors, Tensor) else tensors
        opts = opts or distributed.AllreduceOptions()
        if mean := opts.reduceOp == distributed.ReduceOp.AVG:
            opts.reduceOp = distributed.ReduceOp.SUM  # gloo has no means
        found = _on_cpu(tensors)
        self.gloo.allreduce(found, opts).wait()
        return _put(tensors, [(x / self.size()).to(x.dtype) if mean else x for x in found])

    def broadcast(self, tensors: Any, opts: Any = None) -> Any:
        tensors = [tensors] if isinstance(tensors, Tensor) else tensors
        found = _on_cpu(tensors)
        self.gloo.broadcast(found, opts or distributed.BroadcastOptions()).wait()
        return _put(tensors, found)

    def allgather(self, outputs: Any, inputs: Any, opts: Any = None) -> Any:
        found = [[torch.empty_like(x, device="cpu") for x in each] for each in outputs]
        self.gloo.allgather(found, _on_cpu(inputs), c10d.AllgatherOptions()).wait()
        return _put([*chain(*outputs)], [*chain(*found)])

    def barrier(self, opts: Any = None) -> Any:
        self.gloo.barrier().wait()
        return _put([], [])


def _group(store: Any, rank: int, size: int, timeout: timedelta) -> Group:
    return Group(rank, size, distributed.ProcessGroupGloo(store, rank, size, timeout))


def _on_cpu(tensors: Sequence[Tensor]) -> list[Tensor]:
    if any(x.device != HERE for x in tensors):
        raise RuntimeError("a tensor of the CPU cannot travel between devices")
    return [x.cpu() for x in tensors]


def _put(tensors: Sequence[Tensor], found: Sequence[Tensor]) -> Any:
    for tensor, x in zip(tensors, found, strict=True):
        tensor.copy_(x)
    future: Any = torch.futures.Future()
    future.set_result(list(tensors))
    return c10d._create_work_from_future(future)


class There(Callback):
    """Sees that a run is trained on the device."""

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        assert outputs["loss"].device == HERE
