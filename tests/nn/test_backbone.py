"""Building a backbone by name or from one's own modules, its scale, and what it refuses."""

import pytest
import torch
from torch import nn

from deconfound.data.signal import Batch, EncodedBatch
from deconfound.data.task import Modality, Task
from deconfound.errors import DataError, SpecError
from deconfound.methods.erm import ERM
from deconfound.nn.backbone import Backbone
from deconfound.nn.encoders.cnn import CNN
from deconfound.nn.encoders.gru import GRU
from deconfound.nn.encoders.mlp import MLP
from deconfound.nn.standardise import training_scale
from deconfound.registry import arguments
from deconfound.testing.examples import MODALITIES, random_batch
from support.small import tiny

REGRESSION = Task.regression()


class Own(nn.Module):
    """Mean over steps, then a linear layer of width 7."""

    def __init__(self, inputs: int = 4, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.layer, self.shape = nn.Linear(inputs, 7), shape
        self.drop = nn.Dropout(0.5)

    def forward(self, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.drop(self.layer(values).mean(1)).reshape(len(values), *self.shape, 7)


def batch_of(rows: int = 6) -> Batch:
    return random_batch(MODALITIES, REGRESSION, rows, torch.Generator().manual_seed(0))


def test_each_kind_has_its_default_encoder() -> None:
    backbone = Backbone.build(MODALITIES, REGRESSION)
    kinds = [type(backbone.encoders[name]) for name in MODALITIES]
    assert kinds == [GRU, MLP, CNN]
    assert backbone.widths == dict.fromkeys(MODALITIES, 64)
    assert backbone.predict(backbone.encode(batch_of()), batch_of().present).shape == (6, 1)


def test_knobs_reach_the_components_that_have_them_unless_they_have_their_own() -> None:
    encoders = {"text": {"name": "transformer", "heads": 2, "dropout": 0.4}, "audio": "pool"}
    backbone = Backbone.build(MODALITIES, REGRESSION, encoders=encoders, fusion="late", hidden=16, depth=3, dropout=0.2)
    assert backbone.encoders["text"].blocks[0].heads == 2  # type: ignore[union-attr]
    assert backbone.encoders["text"].blocks[0].dropout == 0.4  # type: ignore[union-attr]
    assert backbone.widths == {"text": 16, "audio": 3, "image": 16}
    rates = {module.p for module in backbone.fusion.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.2}
    assert sum(isinstance(module, nn.Linear) for module in backbone.fusion.modules()) == 9
    assert isinstance(backbone.head, nn.Identity)


def test_a_module_of_the_user_is_measured_and_left_as_it_was() -> None:
    module = Own()
    module.drop.eval()
    backbone = Backbone.build({"text": MODALITIES["text"]}, REGRESSION, encoders={"text": module})
    assert backbone.widths == {"text": 7}
    assert module.training
    assert not module.drop.training


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"encoders": {"text": "gruu"}}, "there is no encoder 'gruu'; did you mean 'gru'"),
        ({"encoders": {"txt": "gru"}}, "there is no modality 'txt'; did you mean 'text'"),
        (
            {"encoders": {"text": {"name": "gru", "layrs": 2}}},
            "gru: there is no argument 'layrs'; did you mean 'layers'",
        ),
        ({"encoders": {"text": {"layers": 2}}}, "needs a 'name'"),
        ({"fusion": "sum"}, "there is no fusion 'sum'"),
        ({"hidden": 0}, "backbone: hidden = 0"),
        ({"dropout": 1.0}, "backbone: dropout = 1.0"),
        ({"encoders": {"text": Own(shape=(1,))}}, r"must return \(B, H\) floats; for B = 2 it returned \(2, 1, 7\)"),
        ({"encoders": {"text": Own(inputs=9)}}, "the module for text sequence 5×4 failed on values"),
        ({"encoders": {"text": nn.Linear(4, 2)}}, "the module for text sequence 5×4 failed"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused_in_one_line(given: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        Backbone.build(MODALITIES, REGRESSION, **given)
    assert "\n" not in str(caught.value)


def test_no_modality_is_refused() -> None:
    with pytest.raises(SpecError, match="needs a modality"):
        Backbone.build({}, REGRESSION)


def test_the_schema_of_the_arguments_is_their_annotation() -> None:
    names = {"encoders", "fusion", "hidden", "depth", "dropout", "scale"}
    assert set(arguments(Backbone.build).model_fields) == names  # type: ignore[arg-type]


def test_names_that_torch_reserves_are_fine() -> None:
    modalities = {name: Modality(name, 1, (2,)) for name in ("keys", "type", "a.b", "training", "forward", "")}
    backbone = Backbone.build(modalities, REGRESSION, hidden=4)
    batch = random_batch(modalities, REGRESSION, 8, torch.Generator().manual_seed(0))
    assert set(backbone.encode(batch)) == set(modalities)


def test_a_batch_without_a_modality_is_refused() -> None:
    batch = batch_of()
    with pytest.raises(DataError, match="the batch has no modality 'image', only text, audio; mask absent ones"):
        Backbone.build(MODALITIES, REGRESSION).encode(
            Batch({n: batch.signals[n] for n in ("text", "audio")}, batch.target, batch.ids, batch.env)
        )


def test_the_scale_makes_the_units_of_the_input_irrelevant() -> None:
    dataset = tiny()
    torch.manual_seed(0)
    backbone = Backbone.build(dataset.modalities, REGRESSION, hidden=8).eval()
    backbone.set_scale(training_scale(dataset))
    batch = dataset.batch("valid")
    first = backbone.encode(batch)["audio"]
    scale = training_scale(dataset)
    backbone.set_scale({"audio": (scale["audio"][0] * 100 - 7, scale["audio"][1] * 100)})
    audio = batch.signals["audio"]
    moved = batch.with_signals({"audio": type(audio)(audio.values * 100 - 7, audio.mask)})
    torch.testing.assert_close(backbone.encode(moved)["audio"], first)
    with pytest.raises(DataError, match="no modality 'vision'"):
        backbone.set_scale({"vision": scale["audio"]})


def test_absent_rows_have_zero_features_and_all_absent_rows_one_prediction() -> None:
    for fusion in ("concat", "gated", "late"):
        backbone = Backbone.build(MODALITIES, REGRESSION, fusion=fusion, hidden=8).eval()
        batch = batch_of().without(*MODALITIES)
        features = backbone.encode(batch)
        assert not any(bool(h.any()) for h in features.values())
        output = backbone.predict(features, batch.present)
        torch.testing.assert_close(output, output[:1].expand(6, 1))


def test_resized_shares_encoders_and_scale() -> None:
    backbone = Backbone.build(MODALITIES, REGRESSION, hidden=8)
    other = backbone.resized({"text": 2, "audio": 3, "image": 4})
    assert other.encoders is backbone.encoders
    backbone.set_scale({"audio": (torch.ones(3), torch.ones(3))})
    assert other.scales["audio"].mean.tolist() == [1, 1, 1]
    features = {name: torch.randn(5, width) for name, width in other.widths.items()}
    assert other.predict(features, batch_of(5).present).shape == (5, 1)


def test_erm_is_the_mean_risk() -> None:
    torch.manual_seed(0)
    task = Task.classification(("a", "b", "c"))
    method = ERM(Backbone.build(MODALITIES, task, hidden=8)).eval()
    batch = random_batch(MODALITIES, task, 6, torch.Generator().manual_seed(0))
    loss = method.loss(batch, 0.0, torch.Generator())
    output = method(batch).log_softmax(1)
    expected = -sum(output[row, int(batch.target[row])] for row in range(6)) / 6
    torch.testing.assert_close(loss.total, expected)
    assert set(loss.features) == set(MODALITIES)


class Halves(nn.Module):
    def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: values[:, :2] + 1 for name, values in features.items()}


def test_what_is_after_the_encoders_stays_through_a_resize_and_leaves_absent_rows_at_0() -> None:
    backbone = Backbone.build(MODALITIES, REGRESSION, hidden=8, dropout=0.0)
    batch = random_batch(MODALITIES, REGRESSION, 6, torch.Generator().manual_seed(0)).without("audio")
    plain = backbone.encode(batch)
    split = backbone.resized(dict.fromkeys(MODALITIES, 2))
    split.after = Halves()
    for each in (split, split.resized(split.widths, "late")):
        assert each.encoded == backbone.widths
        found = each.encode(batch)
        there = batch.present["text"].unsqueeze(1)
        torch.testing.assert_close(found["text"], (plain["text"][:, :2] + 1) * there)
        assert not found["audio"].any()


def test_an_encoded_batch_is_not_encoded_again() -> None:
    backbone = Backbone.build(MODALITIES, REGRESSION, hidden=8)
    batch = random_batch(MODALITIES, REGRESSION, 4, torch.Generator().manual_seed(0))
    features = {name: torch.full((4, 8), 3.0) for name in MODALITIES}
    known = EncodedBatch(batch.signals, batch.target, batch.ids, batch.env, batch.signals, features)
    assert backbone.standardise(known) == batch.signals
    assert backbone.encode(known) == features
