"""A training that was too short or only did harm says so."""

import warnings
from pathlib import Path

import pytest

from deconfound.cli import main
from deconfound.method import WarmUp
from deconfound.runs.run import Run
from deconfound.training.best_epoch import EpochChoice, EpochWarning, epoch_advice
from support.small import FAST, small_run, small_spec

SLOW = {**FAST, "epochs": 3, "learning_rate": 1e-5}


@pytest.mark.parametrize(
    ("best", "epochs", "warm_up", "advice"),
    [
        (59, 60, WarmUp(), "last one"),
        (0, 60, WarmUp(), "first one (0)"),
        (1, 2, WarmUp(), "last one"),
        (0, 1, WarmUp(), None),
        (0, 1, WarmUp(epochs=3), None),
        (58, 60, WarmUp(), None),
        (1, 60, WarmUp(), None),
        (12, 60, WarmUp(share=0.2), "first one after the warm-up (12)"),
        (13, 60, WarmUp(share=0.2), None),
        (59, 60, WarmUp(epochs=59), None),
        (2, 3, WarmUp(epochs=3), "before the method's warm-up of 3 epochs"),
    ],
)
def test_only_the_ends_of_a_training_are_told(best: int, epochs: int, warm_up: WarmUp, advice: str | None) -> None:
    found = epoch_advice(best, epochs, EpochChoice.of(warm_up, epochs, 1, 15), warm_up)
    assert (found is None) == (advice is None)
    if advice is not None:
        assert found is not None
        assert advice in found


def test_a_training_that_was_too_short_warns_and_keeps_the_note(tmp_path: Path) -> None:
    with pytest.warns(EpochWarning, match=r"the best epoch is the last one \(2\).*raise train\.epochs"):
        run = small_run(tmp_path / "r", train=SLOW)
    assert run.done is not None
    assert any("the best epoch is the last one (2)" in note for note in run.done["notes"])


def test_a_run_that_keeps_the_last_epoch_by_request_does_not_warn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", EpochWarning)
        run = small_run(tmp_path / "r", train={**SLOW, "keep": "last"})
    assert run.done is not None
    assert not any("best epoch" in note for note in run.done["notes"])


def test_the_command_line_prints_it_once_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_run(tmp_path / "made", train=SLOW)
    spec = tmp_path / "spec.toml"
    spec.write_text(
        'method = "erm"\n[data]\nsynthetic = { rows = 64 }\n[backbone]\nhidden = 8\n[train]\n'
        + "\n".join(f"{name} = {value!r}" for name, value in SLOW.items())
    )
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(spec), "--out", str(tmp_path / "r")])
    printed = capsys.readouterr()
    assert [line for line in (printed.out + printed.err).splitlines() if "best epoch" in line] == [
        f"  {run.done['notes'][-1]}"  # type: ignore[index]
    ]
    assert Run.open(tmp_path / "r").spec == small_spec(train=SLOW)


def test_a_warning_in_a_command_is_one_line_without_its_place() -> None:
    from deconfound.cli.app import _warning_line  # pyright: ignore[reportPrivateUsage]

    assert _warning_line(EpochWarning("a\n  b"), EpochWarning, "file.py", 3) == "deconfound: EpochWarning: a b\n"
