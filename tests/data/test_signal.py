import pytest
import torch

from deconfound.data.signal import Batch, EncodedBatch, Signal
from deconfound.errors import DataError


def signal(rows: int = 3) -> Signal:
    values = torch.arange(rows * 4, dtype=torch.float32).reshape(rows, 2, 2) + 1
    return Signal(values, torch.ones(rows, 2, dtype=torch.bool))


def batch() -> Batch:
    rows = torch.arange(3)
    return Batch({"a": signal(), "b": signal()}, rows.float(), rows, rows)


def test_keep_masks_and_zeroes_without_touching_the_original():
    whole = signal()
    part = whole.keep(torch.tensor([[True, False], [True, True], [False, False]]))
    assert part.present.tolist() == [True, True, False]
    assert part.values[0].tolist() == [[1, 2], [0, 0]]
    assert whole.mask.all()
    assert (whole.values != 0).all()


def test_keep_never_invents_steps():
    gone = signal().keep(torch.tensor(False))
    assert not gone.keep(torch.tensor(True)).mask.any()


@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (torch.zeros(2, 3, 4), torch.ones(2, 4, dtype=torch.bool), "must agree"),
        (torch.zeros(2, 3), torch.ones(2, 3), "booleans"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(values, mask, message):
    with pytest.raises(DataError, match=message):
        Signal(values, mask)


def test_batch_parts_must_have_the_same_rows():
    with pytest.raises(DataError, match="the same number of rows"):
        Batch({"a": signal(2)}, torch.zeros(3), torch.arange(3), torch.arange(3))


def test_without_makes_modalities_absent_and_keeps_the_others():
    present = batch().without("a").present
    assert not present["a"].any()
    assert present["b"].all()


def test_select_reorders_every_part():
    picked = batch().select(torch.tensor([2, 0]))
    assert picked.ids.tolist() == [2, 0]
    assert picked.signals["a"].values[:, 0, 0].tolist() == [9, 1]
    assert picked.target.tolist() == [2, 0]


def test_other_signals_make_an_encoded_batch_a_plain_one():
    whole = batch()
    known = EncodedBatch(whole.signals, whole.target, whole.ids, whole.env, whole.signals, {"a": torch.ones(3, 5)})
    for changed in (known.without("b"), known.select(torch.tensor([2, 0])), known.to("cpu")):
        assert type(changed) is Batch
    assert known.without("b").present["b"].tolist() == [False, False, False]
