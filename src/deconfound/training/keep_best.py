"""`KeepBest`: the Lightning callback that writes the weights of the best epoch and ends a training that no longer improves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from deconfound.training.epoch_choice import EpochChoice


class KeepBest(Callback):
    """Follows an `EpochChoice`. Its state, the scores and the risks so far, is in each checkpoint.

    Args:
        path: the file of the best epoch.
        choice: before the first epoch.
        score, risk: logged metrics to read after each validation.
    """

    def __init__(self, path: Path, choice: EpochChoice, score: str, risk: str) -> None:
        self.path, self.choice, self.score, self.risk = path, choice, score, risk
        self.risks: list[float] = []
        self._begun = choice

    def state_dict(self) -> dict[str, Any]:
        return {"scores": list(self.choice.scores), "risks": list(self.risks)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.choice = self._begun.after_all(state_dict["scores"])
        self.risks = list(state_dict["risks"])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A run that was killed after its last epoch does not train another."""
        state = checkpoint["callbacks"].get(self.state_key, {"scores": []})
        trainer.should_stop = bool(state["scores"]) and self._begun.after_all(state["scores"]).is_over

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.choice = self.choice.after(float(trainer.callback_metrics[self.score]))
        self.risks.append(float(trainer.callback_metrics[self.risk]))
        if self.choice.keeps_the_latest:
            trainer.save_checkpoint(self.path, weights_only=True)
        if self.choice.is_over:
            trainer.should_stop = True

    @property
    def best_risk(self) -> float:
        """The validation risk of the epoch that is kept."""
        assert self.choice.kept is not None, "no epoch was validated"
        return self.risks[self.choice.kept]
