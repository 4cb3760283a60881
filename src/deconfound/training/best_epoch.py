"""What the place of the best epoch says about the length of a training."""

from __future__ import annotations


class EpochWarning(UserWarning):
    """The best epoch is the first or the last one, so training was too fast or too short."""


def epoch_advice(best: int, epochs: int) -> str | None:
    """One line where the best epoch lies at an end of the training; None elsewhere, or where there was one epoch only.

    Args:
        best: epoch with the lowest validation risk, from 0.
        epochs: the most that training was allowed; where early stopping ended it before, the last is not the best.
    """
    if epochs < 2:
        return None
    if best == epochs - 1:
        return (
            f"the best epoch is the last one ({best}), so longer training may do better; raise train.epochs "
            f"(it is {epochs}) or train.learning_rate"
        )
    if best == 0:
        return (
            "the best epoch is the first one (0), so training only raised the validation risk; lower train.learning_rate, or "
            "see whether 'train' and 'valid' are alike"
        )
    return None
