"""The data behind the figures, against pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from deconfound.report.chart import Figure
from deconfound.report.figures import curve_figures, group_figure, missing_figures, shift_figure
from deconfound.report.learning import learning_figures
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


def frame_of(figure: Figure) -> pd.DataFrame:
    return pd.DataFrame(figure.rows, columns=list(figure.columns))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return fabricate_grid(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def records(folders: list[Path]) -> pd.DataFrame:
    table = pd.concat(pd.read_json(folder / "records.jsonl", lines=True, precise_float=True) for folder in folders)
    return table[table.group == "all"]


def test_curves_average_repeats_and_have_intervals_over_seeds(folders: list[Path], records: pd.DataFrame) -> None:
    figures = curve_figures(section_of(folders))
    assert [figure.title for figure in figures] == ["Gaussian noise", "Dropped frames"]
    for figure, scenario in zip(figures, ("gaussian", "drop-frames"), strict=True):
        shown = frame_of(figure).query("view == 'value' and severity > 0").set_index(["method", "metric", "severity"])
        chosen = records[records.scenario == scenario]
        seeds = chosen.groupby(["method", "metric", "severity", "seed"]).value.mean()
        assert len(shown) == len(seeds) / 3
        for place, row in shown.iterrows():
            values = seeds.loc[place]
            oracle = ttest_1samp(values, 0).confidence_interval(0.95)
            assert (row["mean"], row["sd"]) == (pytest.approx(values.mean()), pytest.approx(values.std()))
            assert (row["low"], row["high"]) == (pytest.approx(oracle.low), pytest.approx(oracle.high))
        assert set(shown["n"]) == {3}


def test_differences_are_paired_with_the_reference(folders: list[Path], records: pd.DataFrame) -> None:
    shown = frame_of(curve_figures(section_of(folders))[0]).query("view == 'difference' and metric == 'mse'")
    ours = shown[(shown.method == "cmir") & (shown.severity == 1)].iloc[0]
    chosen = records[(records.scenario == "gaussian") & (records.severity == 1) & (records.metric == "mse")]
    seeds = chosen.groupby(["method", "seed"]).value.mean()
    oracle = ttest_rel(seeds["cmir"], seeds["erm"]).confidence_interval(0.95)
    assert ours["mean"] == pytest.approx((seeds["cmir"] - seeds["erm"]).mean())
    assert (ours["low"], ours["high"]) == (pytest.approx(oracle.low), pytest.approx(oracle.high))
    assert set(shown[shown.method == "erm"]["mean"]) == {0.0}


def test_curves_begin_at_the_undamaged_split(folders: list[Path], records: pd.DataFrame) -> None:
    shown = frame_of(curve_figures(section_of(folders))[0]).query("view == 'value'")
    start = shown[(shown.severity == 0) & (shown.metric == "mse") & (shown.method == "cmir")]
    clean = records[(records.scenario == "test-iid") & (records.metric == "mse") & (records.method == "cmir")].value
    assert start["mean"].item() == pytest.approx(clean.mean())
    assert start["n"].item() == 3


def test_seeds_that_do_not_define_a_value_are_named(tmp_path: Path) -> None:
    grid = fabricate_grid(tmp_path / "grid")
    figure = shift_figure(section_of(grid))
    assert figure is not None
    assert "left out" not in figure.note
    partly = [*grid, fabricate(tmp_path / "more", method="cmir", seed=3, undefined=["corr"])]
    figure = shift_figure(section_of(partly))
    assert figure is not None
    assert figure.note.endswith("Seeds that do not define a value are left out of its mean: cmir.")


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    shown = frame_of(curve_figures(section_of([fabricate(tmp_path / "a")]))[0])
    assert shown[["sd", "low", "high"]].isna().all().all()
    assert set(shown["view"]) == {"value"}


def test_groups_have_a_bar_each_and_the_hardest_of_many(tmp_path: Path, folders: list[Path]) -> None:
    figure = group_figure(section_of(folders))
    assert figure is not None
    shown = frame_of(figure)
    assert list(dict.fromkeys(shown.environment)) == ["worst(speaker)", "speaker=anna", "speaker=ben"]
    assert set(shown.scenario) == {"test-iid", "test-flip", "test-zero"}
    many = [fabricate(tmp_path / "a", speakers=[f"s{i:02}" for i in range(40)])]
    figure = group_figure(section_of(many))
    assert figure is not None
    assert "those 24 where erm does worst" in figure.note
    shown = frame_of(figure).query("metric == 'mse' and scenario == 'test-iid'").environment
    table = pd.read_json(many[0] / "records.jsonl", lines=True).query("metric == 'mse' and scenario == 'test-iid'")
    hardest = table[table.group.str.startswith("speaker=")].nlargest(24, "value").group
    assert list(shown) == ["worst(speaker)", *sorted(hardest)]


def test_missing_modalities_are_shown_beside_all_of_them(folders: list[Path], records: pd.DataFrame) -> None:
    (figure,) = missing_figures(section_of(folders))
    shown = frame_of(figure)
    order = ["all modalities", "audio + vision", "text + audio", "text + vision", "audio", "text", "vision"]
    assert list(dict.fromkeys(shown.present)) == order
    one = shown[(shown.method == "erm") & (shown.metric == "mae") & (shown.present == "text + audio")]
    chosen = (records.scenario == "present=text+audio") & (records.metric == "mae") & (records.method == "erm")
    assert one["mean"].item() == pytest.approx(records[chosen].value.mean())


def test_the_shift_figure_holds_each_split(folders: list[Path]) -> None:
    figure = shift_figure(section_of(folders))
    assert figure is not None
    assert len(figure.rows) == 4 * 2 * 3


def test_every_term_has_a_learning_curve_with_its_mean(folders: list[Path]) -> None:
    figures = {figure.title: frame_of(figure) for figure in learning_figures(section_of(folders))}
    assert list(figures) == ["risk", "total", "prediction", "invariance", "decorrelation", "reconstruction"]
    log = pd.concat(pd.read_csv(folder / "log.csv").assign(run=folder.name) for folder in folders)
    log = log[(log.term == "invariance") & (log.split == "train")]
    oracle = log.groupby(["run", "epoch"]).value.mean().groupby("epoch").mean()
    shown = figures["invariance"]
    mean = shown[(shown.kind == "mean") & (shown.split == "train")]
    assert mean.value.to_numpy() == pytest.approx(oracle.to_numpy())
    best = figures["risk"][figures["risk"].kind == "best"]
    assert list(best[best.method == "erm"].epoch) == [18, 19, 20]


def test_long_curves_are_thinned_to_means_and_say_so(tmp_path: Path) -> None:
    section = section_of([fabricate(tmp_path / "a")])
    whole = {figure.title: figure for figure in learning_figures(section)}["risk"]
    thin = {figure.title: figure for figure in learning_figures(section, points=1)}["risk"]
    assert "mean of 3 epochs" in thin.note
    one, many = (frame_of(f).query("kind == 'seed'").value for f in (thin, whole))
    assert one.to_numpy() == pytest.approx(many.to_numpy().reshape(-1, 3).mean(axis=1))


def test_packing_loses_nothing_but_digits(folders: list[Path]) -> None:
    figure = curve_figures(section_of(folders))[0]
    packed = figure.packed()
    for row, given in zip(packed["rows"], figure.rows, strict=True):
        back = [
            packed["levels"][c][v] if c in packed["levels"] else v for c, v in zip(packed["columns"], row, strict=True)
        ]
        assert back == [pytest.approx(v, rel=1e-4) if isinstance(v, float) else v for v in given]


def test_infinite_values_become_null(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    log = folder / "log.csv"
    log.write_text(log.read_text() + "999,30,train,total,inf\n")
    total = learning_figures(section_of([folder]))[1].packed()
    assert [row[4] for row in total["rows"] if row[3] == 30] == [None, None]
