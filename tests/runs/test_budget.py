"""Budgets by rows: what is left open follows the training rows, what is given stays, and a run repeats."""

import json
import math
from pathlib import Path

import pytest

import deconfound as dc
from deconfound.runs.budget_sizes import FEWEST_EPOCHS, MOST_EPOCHS, STEPS, Preset, default_budget
from deconfound.runs.build import budget_notes, completed, training_rows, with_budget
from deconfound.runs.run import Run
from deconfound.runs.spec import DataSpec, Spec, TrainSpec
from support.small import small_data

ROWS = (12, 107, 120, 342, 999, 1000, 2000, 4500, 12_000, 20_000, 1_000_000)
PRESETS: tuple[Preset, ...] = ("small", "standard", "thorough")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("rows", ROWS)
def test_every_set_gets_the_steps_that_its_epochs_allow(rows: int, preset: Preset) -> None:
    budget = default_budget(preset, rows)
    steps = budget.epochs * math.ceil(rows / budget.batch_size)
    assert FEWEST_EPOCHS[preset] <= budget.epochs <= MOST_EPOCHS[preset]
    assert steps >= STEPS[preset] or budget.epochs == MOST_EPOCHS[preset]
    assert 1 <= budget.patience <= budget.epochs or budget.epochs < 15


def test_budgets_grow_with_the_preset_and_epochs_shrink_with_the_rows() -> None:
    for rows in ROWS:
        small, standard, thorough = (default_budget(preset, rows).epochs for preset in PRESETS)
        assert small <= standard <= thorough
    for preset in PRESETS:
        epochs = [default_budget(preset, rows).epochs for rows in ROWS if rows >= 1000]
        assert epochs == sorted(epochs, reverse=True)


def test_what_is_given_stays_and_the_rest_follows_it() -> None:
    asked = TrainSpec(batch_size=16, learning_rate=0.5)
    budget = completed(asked, 320).budget
    assert (budget.batch_size, budget.learning_rate) == (16, 0.5)
    assert budget.epochs == default_budget("standard", 320, batch_size=16).epochs
    assert completed(TrainSpec(epochs=3), 320).budget.epochs == 3
    whole = TrainSpec(epochs=3, batch_size=16, learning_rate=0.5, patience=2, window=1)
    assert completed(whole, 320) == whole
    assert budget_notes(whole, 320) == []


def test_processes_share_the_steps() -> None:
    alone, four = TrainSpec(batch_size=64), TrainSpec(batch_size=64, devices=4)
    assert completed(four, 100_000).budget.epochs >= completed(alone, 100_000).budget.epochs


def test_the_rows_are_those_that_train(tmp_path: Path) -> None:
    data = small_data()
    whole = len(data.rows("train"))
    assert training_rows(data, DataSpec()) == whole
    group, names = data.development().groups("environment")
    left = DataSpec(environment=("environment",), leave_out=names[0])
    assert training_rows(data, left) == int((group != 0).sum())


def test_the_numbers_are_in_the_run_and_in_its_notes_and_it_repeats(tmp_path: Path) -> None:
    data = small_data()
    train = {"epochs": 2, "accelerator": "cpu", "threads": 1}
    run = dc.fit(data, "erm", out=tmp_path / "r", backbone={"hidden": 8}, train=train)
    budget = default_budget("standard", len(data.rows("train")), epochs=2)
    kept = json.loads((run.path / "spec.json").read_text())["train"]
    for name in ("epochs", "batch_size", "learning_rate", "patience", "window"):
        assert kept[name] == getattr(budget, name)
    assert run.done is not None
    start = f"standard budget for {len(data.rows('train'))} training rows, "
    assert [note for note in run.done["notes"] if note.startswith(start)]
    again = dc.fit(data, "erm", out=tmp_path / "r", backbone={"hidden": 8}, train=train)
    assert again.done == run.done
    copy = Spec.of(json.loads((run.path / "spec.json").read_text()))
    assert with_budget(copy, data) is copy
    assert Run.open(run.path).spec == copy
