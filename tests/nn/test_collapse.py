import warnings

import pytest
import torch

from deconfound.nn.collapse import EARLY, EVERY, CollapseWarning, CollapseWatch


def feed(watch: CollapseWatch, scale: float, steps: int, present: torch.Tensor | None = None) -> None:
    draw = torch.Generator().manual_seed(0)
    here = torch.ones(2, 8, dtype=torch.bool) if present is None else present
    for _ in range(steps):
        values = torch.randn(2, 8, 3, generator=draw)
        values[1] *= scale
        watch([(values, here)])


def test_warns_once_and_names_the_modality() -> None:
    watch = CollapseWatch(["text", "audio"])
    feed(watch, 1.0, EARLY)
    with pytest.warns(CollapseWarning, match=r"of audio fell below 1%.*lower 'invariance'") as caught:
        feed(watch, 0.001, 3 * EVERY)
    assert len(caught) == 1


@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_is_silent_while_rows_differ(scale: float) -> None:
    watch = CollapseWatch(["text", "audio"])
    feed(watch, 1.0, EARLY)
    feed(watch, scale, 3 * EVERY)


def test_absence_is_no_collapse_and_eval_mode_keeps_the_state() -> None:
    watch = CollapseWatch(["text", "audio"])
    feed(watch, 1.0, EARLY)
    present = torch.ones(2, 8, dtype=torch.bool)
    present[1] = False
    feed(watch, 1.0, 3 * EVERY, present)
    before = {name: value.clone() for name, value in watch.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        feed(watch.eval(), 0.0, 3 * EVERY)
    assert all(torch.equal(value, before[name]) for name, value in watch.state_dict().items())


def test_returns_the_standard_deviation_over_present_rows() -> None:
    values, present = torch.randn(2, 8, 3), torch.rand(2, 8) < 0.7
    found = CollapseWatch(["text", "audio"])([(values, present)])
    for m in range(2):
        torch.testing.assert_close(found[m], values[m][present[m]].std(0, correction=0).mean())


@pytest.mark.parametrize("stop", [EVERY - 3, 2 * EVERY + 5])
def test_a_watch_from_a_checkpoint_warns_where_an_undisturbed_one_does(stop: int) -> None:
    """The second stop is after the warning: it must not come again."""
    moments: list[list[int]] = []
    for resumed in (False, True):
        watch = CollapseWatch(["text", "audio"])
        feed(watch, 1.0, EARLY)
        moments.append([])
        for step in range(4 * EVERY):
            if resumed and step == stop:
                state = {name: value.clone() for name, value in watch.state_dict().items()}
                watch = CollapseWatch(["text", "audio"])
                watch.load_state_dict(state)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                feed(watch, 0.001, 1)
            moments[-1] += [step] * len(caught)
    assert len(moments[0]) == 1
    assert moments[0] == moments[1]
