"""Pretrained models of a few thousand random weights, in place of those that packages carry."""

from pathlib import Path
from typing import Any

import torch

VOCABULARY, IMAGE_WIDTH = 12, 16


def write_text_model(folder: Path) -> Path:
    """A BERT of two layers with weights in safetensors; as a model it reads numbers of word pieces, below `VOCABULARY`."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


def image_model() -> Any:
    """An EfficientNet-Lite of one block, with `IMAGE_WIDTH` channels at the end, which follows its statistics fast."""
    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite_pytorch.utils import BlockDecoder, efficientnet_lite

    _, settings = efficientnet_lite(IMAGE_WIDTH / 1280, 1.0, 32, dropout_rate=0.0, drop_connect_rate=0.0)
    settings = settings._replace(num_classes=2, batch_norm_momentum=0.5, fix_head_stem=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return EfficientNet(BlockDecoder.decode(["r1_k3_s22_e1_i32_o8"]), settings)
