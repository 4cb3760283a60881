"""Sharded training (`train.strategy = "fsdp"`): every process keeps one shard of the weights, gradients and optimiser state.

During a step, and where a method reads many rows between epochs, each process gathers all weights. Checkpoints are
gathered too, so that the file equals that of one process.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict, set_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FullyShardedDataParallel,
    OptimStateKeyType,
    fully_shard,
    register_fsdp_forward_method,
)

METHOD_HOOKS = ("training_step", "validation_step", "on_train_epoch_start", "on_validation_epoch_start")
"""Functions of the learner that call the method and so need whole weights."""


class FullyShardedStrategy(ModelParallelStrategy):
    """Fully sharded data parallelism over all processes; buffers are those of the first process, as in plain DDP.

    Precisions "32-true" and "bf16-mixed"; Lightning refuses the others.
    """

    def __init__(self) -> None:
        super().__init__(data_parallel_size="auto", tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        assert self.accelerator is not None
        assert self.model is not None
        self.accelerator.setup(trainer)
        self.model = self.precision_plugin.convert_module(self.model)
        self.model_to_device()
        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        fully_shard(self.model, mesh=mesh, reshard_after_forward=True)  # else validation would leave it gathered
        for name in METHOD_HOOKS:
            register_fsdp_forward_method(self.model, name)
        self.barrier()
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        self._share_buffers()
        return super().training_step(*args, **kwargs)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        self._share_buffers()
        return super().validation_step(*args, **kwargs)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read the gathered file in every process and keep this process's part; weights and optimiser state are set here."""
        assert self.model is not None
        checkpoint = self.checkpoint_io.load_checkpoint(self.broadcast(checkpoint_path))
        options = StateDictOptions(full_state_dict=True)
        set_model_state_dict(self.model, checkpoint.pop("state_dict"), options=options)
        for optimiser, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            named = FullyShardedDataParallel.rekey_optim_state_dict(state, OptimStateKeyType.PARAM_NAME, self.model)
            set_optimizer_state_dict(self.model, optimiser, named, options=options)
        return checkpoint

    def _share_buffers(self) -> None:
        assert self.model is not None
        for buffer in self.model.buffers():
            torch.distributed.broadcast(buffer, src=0)
