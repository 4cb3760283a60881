"""Every registered method keeps the laws on pretrained encoders, here with tiny models of random weights."""

from pathlib import Path
from typing import Any

import pytest

from deconfound.data.task import Modality
from deconfound.nn.encoders import pretrained_image
from deconfound.registry import get_class, names
from deconfound.testing import check_method
from deconfound.testing.examples import MODALITIES
from laws.test_methods import FITTED, OTHER_VIEWS
from support.tiny_models import IMAGE_WIDTH, image_model, write_text_model

FORMS = {"pretrained-text": Modality("words", 5, ()), "pretrained-image": Modality("image", 2, (3, 32, 32))}


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_model(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture
def arguments(text_model: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    monkeypatch.setattr(pretrained_image, "load_image_model", image_model)
    monkeypatch.setattr(pretrained_image, "WIDTH", IMAGE_WIDTH)
    return {"pretrained-text": {"model": str(text_model)}, "pretrained-image": {"side": 32}}


def test_no_pretrained_encoder_is_left_out() -> None:
    assert FORMS.keys() == {name for name in names("encoders") if name.startswith("pretrained-")}


@pytest.mark.parametrize("encoder", FORMS)
@pytest.mark.parametrize("method", [name for name in names("methods") if name not in FITTED])
def test_laws_with_a_pretrained_encoder(method: str, encoder: str, arguments: dict[str, dict[str, Any]]) -> None:
    form = FORMS[encoder]
    check_method(
        get_class("methods", method),
        modalities={form.name: form, "audio": MODALITIES["audio"]},
        backbone={"encoders": {form.name: {"name": encoder, **arguments[encoder]}}},
        other_views=method in OTHER_VIEWS,
    )


@pytest.mark.parametrize("freeze", ["all", 1])
@pytest.mark.parametrize("encoder", FORMS)
def test_laws_with_frozen_layers(encoder: str, freeze: str | int, arguments: dict[str, dict[str, Any]]) -> None:
    form = FORMS[encoder]
    choice = {"name": encoder, "freeze": freeze, **arguments[encoder]}
    check_method(get_class("methods", "erm"), modalities={form.name: form}, backbone={"encoders": {form.name: choice}})
