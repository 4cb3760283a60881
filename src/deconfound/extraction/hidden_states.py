"""Hidden states of a frozen text model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from deconfound.extraction.text_model import load_text_model, load_tokenizer, word_pieces


@lru_cache(maxsize=1)
def _frozen(model: str) -> Any:
    return load_text_model(model).eval()


def text_hidden_states(model: str, texts: Sequence[str], most: int) -> list[np.ndarray]:
    """Last layer of each text: (T_i, D) float32, T_i ≤ `most` word pieces."""
    pieces = word_pieces(model, list(texts), most)
    longest = max(map(len, pieces))
    padding = load_tokenizer(model).pad_token_id or 0
    numbers = torch.tensor([row + [padding] * (longest - len(row)) for row in pieces])
    there = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in pieces])
    with torch.inference_mode():
        states = _frozen(model)(input_ids=numbers, attention_mask=there).last_hidden_state
    return [states[row, : len(steps)].numpy().copy() for row, steps in enumerate(pieces)]
