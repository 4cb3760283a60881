import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.nn.history import LossHistory, rank_risk


def test_the_history_is_the_mean_loss_scaled_to_the_range_over_all_rows() -> None:
    draw = torch.Generator().manual_seed(0)
    history = LossHistory(2)
    history.grow(6)
    seen: dict[tuple[int, int], list[float]] = {}
    for _ in range(8):
        ids = torch.randperm(6, generator=draw)[:3]
        losses = torch.rand(2, 3, generator=draw)
        present = torch.rand(2, 3, generator=draw) < 0.7
        found = history(ids, losses, present)
        for m in range(2):
            for place, row in enumerate(ids.tolist()):
                if present[m, place]:
                    seen.setdefault((m, row), []).append(losses[m, place].item())
            means = {row: sum(values) / len(values) for (k, row), values in seen.items() if k == m}
            for place, row in enumerate(ids.tolist()):
                if present[m, place] and len(means) > 1:
                    low, high = min(means.values()), max(means.values())
                    assert found[m, place].item() == pytest.approx((means[row] - low) / (high - low), abs=1e-5)


def test_eval_mode_keeps_nothing_and_rows_beyond_the_table_have_only_this_batch() -> None:
    history = LossHistory(1)
    losses, present = torch.tensor([[3.0, 1.0, 2.0]]), torch.ones(1, 3, dtype=torch.bool)
    assert history(torch.tensor([7, 8, 9]), losses, present).tolist() == [[1, 0, 0.5]]
    history.grow(8)
    history.eval()
    assert history(torch.tensor([7, 8, 9]), losses, present).tolist() == [[1, 0, 0.5]]
    assert not history.count.any()


def test_a_saved_table_fits_a_fresh_module() -> None:
    history = LossHistory(2)
    history.grow(5)
    history(torch.arange(3), torch.rand(2, 3), torch.ones(2, 3, dtype=torch.bool))
    fresh = torch.nn.ModuleDict({"inner": LossHistory(2)})
    fresh.load_state_dict({f"inner.{name}": value for name, value in history.state_dict().items()}, strict=True)
    assert torch.equal(fresh["inner"].total, history.total)
    history.grow(5)
    assert history.count.sum() == 6  # growing to the same size forgets nothing
    with pytest.raises(RuntimeError, match="size mismatch"):
        LossHistory(3).load_state_dict(history.state_dict())


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from([1.0, -1.0]), st.integers(1, 6))
def test_the_rank_risk_is_the_formula_pair_by_pair(seed: int, margin: float, rows: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    confidence, history = torch.randn(2, rows, generator=draw), torch.randint(3, (2, rows), generator=draw) / 2
    present = torch.rand(2, rows, generator=draw) < 0.8
    found = rank_risk(confidence, history, present, margin)
    for m in range(2):
        each = []
        for i in range(rows):
            j = (i + 1) % rows
            if present[m, i] and present[m, j]:
                k, w = (history[m, i] - history[m, j]).item(), (confidence[m, i] - confidence[m, j]).item()
                sign = (k > 0) - (k < 0)
                each.append(max(0.0, sign * w + margin * abs(k)) if sign else 0.0)
        assert found[m].item() == pytest.approx(sum(each) / max(1, len(each)), abs=1e-5)


def test_tolerated_is_what_the_published_code_computes() -> None:
    draw = torch.Generator().manual_seed(3)
    confidence, history = torch.randn(1, 7, generator=draw), torch.rand(1, 7, generator=draw)
    first, target = confidence[0], (history[0] - history[0].roll(-1)).sign()
    second = first.roll(-1) + (history[0] - history[0].roll(-1)).abs() / target
    expected = torch.nn.MarginRankingLoss(margin=0.0)(first, second, -target)
    found = rank_risk(confidence, history, torch.ones(1, 7, dtype=torch.bool), -1.0)
    torch.testing.assert_close(found[0], expected)
