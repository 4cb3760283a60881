"""`pretrained-text`: a pretrained text model on word pieces, which trains with the rest or stays frozen."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.length_groups import CPU_ROWS, length_groups
from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.extraction.text_model import PACKAGED, load_text_model
from deconfound.nn.layers import masked_mean
from deconfound.nn.pretrained import PretrainedEncoder

RATE_BY_WIDTH = 0.0384
"""Peak learning rate times width: 1e-4 for the packaged model, 5e-5 for one of BERT's base size, as is common for each."""


class PretrainedText(PretrainedEncoder):
    """The mean of the last hidden states over the word pieces, then a linear layer to the hidden width.

    Import the text with `extractor = "word-pieces"` and the same model.

    Raises:
        SpecError: the modality does not hold tokens, or the model cannot be loaded.
        DataError: a package is missing.
    """

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        model: Annotated[
            str, Field(description="packaged model, local folder, or name of the Hugging Face hub")
        ] = PACKAGED,
        freeze: Annotated[
            Literal["none", "all"] | Annotated[int, Field(ge=0)],
            Field(description='"none", "all", or how many of the lowest layers, embeddings first, stay as they are'),
        ] = "none",
        learning_rate: Annotated[
            float | None,
            Field(gt=0, description="peak learning rate of the pretrained layers; 0.0384 by their width if left out"),
        ] = None,
        weight_decay: Annotated[
            float | None, Field(ge=0, description="weight decay of the pretrained layers; that of the run if left out")
        ] = None,
        layer_decay: Annotated[
            float, Field(gt=0, le=1, description="learning rate of each layer as a share of the one above")
        ] = 0.9,
    ) -> None:
        if modality.kind != "tokens":
            raise SpecError(
                f"the encoder 'pretrained-text' reads word pieces; {modality} holds numbers: import the text with "
                'extractor = "word-pieces"'
            )
        pretrained = load_text_model(model)
        size = pretrained.config.hidden_size
        super().__init__(
            modality,
            width,
            pretrained,
            learning_rate=RATE_BY_WIDTH / size if learning_rate is None else learning_rate,
            weight_decay=weight_decay,
            layer_decay=layer_decay,
            freeze=freeze,
        )
        self.leave = nn.Linear(size, width)

    def layers(self) -> list[nn.Module]:
        children = dict(self.pretrained.named_children())
        stacks = [m for m in children.get("encoder", nn.Module()).children() if isinstance(m, nn.ModuleList)]
        if not stacks or children.keys() - {"embeddings", "encoder", "pooler"}:
            return [self.pretrained]
        return [children["embeddings"], *stacks[0]]

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        groups = length_groups(mask, CPU_ROWS if values.device.type == "cpu" else max(1, len(values)))
        pooled = torch.cat([self._pooled(values[rows, :steps], mask[rows, :steps]) for rows, steps in groups])
        order = torch.cat([rows for rows, _ in groups])
        return self.leave(pooled[order.argsort()])

    def _pooled(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T) word pieces and mask → (B, H) means of the last hidden states; 0 for a row without any step."""
        there = mask.clone()
        there[:, 0] |= ~mask.any(dim=1)  # attention needs a step; the mean leaves it out again
        states = self.pretrained(input_ids=values, attention_mask=there.long()).last_hidden_state
        return masked_mean(states, mask)
