"""What an encoder does with steps that do not exist, and that it computes what it says."""

import math

import pytest
import torch
from torch import nn

from deconfound.data.task import Modality
from deconfound.errors import SpecError
from deconfound.nn.encoders.cnn import CNN
from deconfound.nn.encoders.gru import GRU
from deconfound.nn.encoders.lstm import LSTM
from deconfound.nn.encoders.mlp import MLP
from deconfound.nn.encoders.pool import Pool
from deconfound.nn.encoders.transformer import Transformer, positions
from deconfound.registry import build, names

TEXT = Modality("text", 6, (3,))


def compacted(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return values[mask].unsqueeze(0)


@pytest.mark.parametrize("kind", [GRU, LSTM])
@pytest.mark.parametrize("readout", ["last", "mean"])
def test_a_recurrent_encoder_is_that_of_torch_over_the_steps_that_exist(
    kind: type[GRU] | type[LSTM], readout: str
) -> None:
    encoder = kind(TEXT, 5, readout=readout, dropout=0.0).eval()  # type: ignore[arg-type]
    values = torch.randn(4, 6, 3)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 1], [1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).bool()
    found = encoder(values, mask)
    for row in range(4):
        states, _ = encoder.recurrent(compacted(values[row], mask[row]))
        expected = states[0, -1] if readout == "last" else states[0].mean(0)
        torch.testing.assert_close(found[row], expected)
    padded = mask[[0, 2]]  # only steps at the end are missing
    torch.testing.assert_close(encoder(values[[0, 2]], padded), found[[0, 2]])


def test_transformer_ignores_what_lies_under_the_mask_and_survives_empty_rows() -> None:
    encoder = Transformer(TEXT, 8, heads=2, dropout=0.0).eval()
    values = torch.randn(2, 6, 3, requires_grad=True)
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[0, :4] = True
    found = encoder(values, mask)
    shorter = encoder(values[:1, :4], mask[:1, :4])
    torch.testing.assert_close(found[:1], shorter)
    found.sum().backward()
    assert values.grad is not None
    assert bool(torch.isfinite(values.grad).all())
    assert not values.grad[~mask].any()
    assert all(bool(torch.isfinite(p.grad).all()) for p in encoder.parameters() if p.grad is not None)


def test_transformer_block_equals_the_one_of_torch() -> None:
    torch.manual_seed(0)
    block = Transformer(TEXT, 8, layers=1, heads=2, dropout=0.0).blocks[0]
    theirs = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    own = dict(block.named_parameters())
    pairs = {
        "self_attn.in_proj": "project", "self_attn.out_proj.": "merge.", "linear1.": "feed.0.", "linear2.": "feed.3.",
        "norm1.": "norms.0.", "norm2.": "norms.1.",
    }  # fmt: skip
    state = {}
    for name in theirs.state_dict():
        start = next(prefix for prefix in pairs if name.startswith(prefix))
        state[name] = own[pairs[start] + name[len(start) :].replace("_", ".")].data
    theirs.load_state_dict(state)
    steps, mask = torch.randn(3, 5, 8), torch.rand(3, 5) < 0.7
    mask[:, 0] = True
    expected = theirs(steps, src_key_padding_mask=~mask)
    torch.testing.assert_close(block(steps, mask[:, None, None, :])[mask], expected[mask])


@pytest.mark.parametrize("width", [5, 8])
def test_positions_are_the_published_sines(width: int) -> None:
    table = positions(7, width)
    for t in range(7):
        for j in range(width):
            angle = t / 10000 ** ((j - j % 2) / width)
            assert table[t, j].item() == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-5)


def test_mlp_of_a_sequence_is_the_mean_over_its_steps() -> None:
    encoder = MLP(TEXT, 5, dropout=0.0)
    values, mask = torch.randn(1, 6, 3), torch.tensor([[True, False, True, False, False, False]])
    alone = [encoder(values[:, t : t + 1], mask[:, t : t + 1]) for t in (0, 2)]
    torch.testing.assert_close(encoder(values, mask), (alone[0] + alone[1]) / 2)


def test_mlp_of_a_vector_is_its_layers_on_the_flat_values() -> None:
    encoder = MLP(Modality("grid", 1, (3, 2)), 5, dropout=0.0)
    values = torch.randn(4, 1, 3, 2)
    expected = nn.functional.gelu(encoder.layers(values.reshape(4, 6)))
    torch.testing.assert_close(encoder(values, torch.ones(4, 1, dtype=torch.bool)), expected)


def test_cnn_of_several_images_is_the_mean_over_them() -> None:
    encoder = CNN(Modality("face", 3, (2, 9, 7)), 5, dropout=0.0)
    values, mask = torch.randn(1, 3, 2, 9, 7), torch.tensor([[True, False, True]])
    alone = [encoder(values[:, t : t + 1], mask[:, t : t + 1]) for t in (0, 2)]
    torch.testing.assert_close(encoder(values, mask), (alone[0] + alone[1]) / 2)


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (40, 32), (3, 5, 300), (1, 64, 3)])
def test_cnn_takes_images_of_any_size(shape: tuple[int, ...]) -> None:
    encoder = CNN(Modality("face", 1, shape), 5, channels=2)
    assert encoder(torch.randn(2, 1, *shape), torch.ones(2, 1, dtype=torch.bool)).shape == (2, 5)
    assert sum(p.numel() for p in encoder.parameters()) < 3000


def test_pool_is_the_masked_mean_and_has_the_width_of_the_input() -> None:
    encoder = Pool(TEXT, 64)
    values, mask = torch.randn(2, 6, 3), torch.tensor([[True] * 6, [False] * 6])
    assert encoder.width == 3
    assert not list(encoder.parameters())
    torch.testing.assert_close(encoder(values, mask), torch.stack([values[0].mean(0), torch.zeros(3)]))


@pytest.mark.parametrize("name", [name for name in names("encoders") if name != "pretrained-text"])
def test_tokens_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="words"):
        build("encoders", name, Modality("words", 6, ()), 8)


def test_a_vector_is_no_image_and_heads_must_divide() -> None:
    with pytest.raises(SpecError, match=r"'cnn' needs steps of \(H, W\)"):
        CNN(TEXT, 8)
    with pytest.raises(SpecError, match="hidden = 6 is not a multiple of heads = 4"):
        Transformer(TEXT, 6)
