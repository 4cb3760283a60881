"""Hidden states of a frozen text model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from deconfound.data.length_groups import CPU_ROWS, length_groups
from deconfound.extraction.text_model import frozen_text_model, load_tokenizer, word_pieces


def text_hidden_states(model: str, texts: Sequence[str], most: int) -> list[np.ndarray]:
    """Last layer of each text: (T_i, D) float32, T_i ≤ `most` word pieces."""
    pieces = word_pieces(model, list(texts), most)
    longest = max(map(len, pieces))
    padding = load_tokenizer(model).pad_token_id or 0
    numbers = torch.tensor([row + [padding] * (longest - len(row)) for row in pieces])
    there = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in pieces])
    states: dict[int, np.ndarray] = {}
    for rows, steps in length_groups(there, CPU_ROWS):
        with torch.inference_mode():
            part = frozen_text_model(model)(
                input_ids=numbers[rows, :steps], attention_mask=there[rows, :steps].long()
            ).last_hidden_state
        states |= {row: part[place, : len(pieces[row])].numpy().copy() for place, row in enumerate(rows.tolist())}
    return [states[row] for row in range(len(pieces))]
