"""Effects from rows: intervals, warnings, clusters, and tables that are not fit for it."""

import warnings

import numpy as np
import pytest
import torch

from deconfound import causal, statistics
from deconfound.causal import (
    EXAMPLES,
    DiscreteSCM,
    Graph,
    PositivityWarning,
    count_rows,
    effects_json,
    effects_text,
    estimate_effects,
    read_counts,
    support,
)
from deconfound.causal.effects import FORMULAS, TREATMENT_FORMULAS
from deconfound.causal.support import MIN_ROWS
from deconfound.errors import DataError

G3 = EXAMPLES["g3"].graph


def samples(rows=4000, name="g3", seed=0):
    generator = torch.Generator().manual_seed(seed)
    scm = DiscreteSCM.random(EXAMPLES[name].graph, generator, {"z": 3, "u": 3})
    return scm, scm.sample(rows, generator)


def estimated(counts, graph=G3, **given):
    return estimate_effects(counts, graph, np.random.default_rng(0), **{"resamples": 300, **given})


def test_values_are_the_formulas_of_the_counted_rows():
    scm, rows = samples()
    counts = count_rows(rows, G3)
    assert counts.rows == counts.cells.sum() == 4000
    found = estimated(counts)
    assert set(found.effects) == {*TREATMENT_FORMULAS, "beta-front-door-given"}
    for name, function in [
        ("naive", causal.naive),
        ("beta-front-door", causal.beta_front_door),
        ("beta-front-door-given", causal.beta_front_door_given),
        ("randomised-mediator", causal.randomised_mediator_effect),
    ]:
        effect = found.effects[name]
        np.testing.assert_allclose(effect.probabilities.values, function(counts.cells))
        np.testing.assert_allclose(effect.differences.values[1], function(counts.cells)[1] - function(counts.cells)[0])
    assert [name for name, effect in found.effects.items() if effect.warranted] == [
        "beta-front-door",
        "beta-front-door-given",
    ]
    band = found.effects["beta-front-door"].probabilities
    assert ((band.low < scm.effect()) & (scm.effect() < band.high)).all()
    assert found.warnings == ()


def test_intervals_are_those_of_the_statistics_module():
    _, rows = samples(500)
    counts, draws = count_rows(rows, G3), 400
    found = estimated(counts, resamples=draws)
    drawn = np.random.default_rng(0).multinomial(499, counts.cells.ravel() / 500, size=draws)
    values = causal.beta_front_door(drawn.reshape(-1, *counts.cells.shape), partial=True)
    band = found.effects["beta-front-door"].probabilities
    for place in np.ndindex(2, 2):
        wanted = statistics.estimate(band.values[place][None], values[(slice(None), *place)][None], clusters=500)
        assert (band.low[place], band.high[place]) == pytest.approx((wanted.low, wanted.high))


def test_a_probability_that_no_resample_varies_has_no_interval():
    """All 6 rows of one treatment have one outcome: its probability is 1 in every resample, and unknown."""
    columns = {"x": ["p", "q"] * 6, "z": ["p", "q"] * 6, "y": ["p", "q", "p", "p"] * 3, "a": ["p", "p", "q", "q"] * 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        naive = estimated(count_rows(columns, G3)).effects["naive"]
    assert naive.probabilities.values[0].tolist() == [1, 0]
    assert np.isnan(naive.probabilities.low[0]).all()
    assert np.isfinite(naive.probabilities.low[1]).all()
    assert naive.differences.low[0].tolist() == [0, 0], "of a treatment from itself"


def test_clusters_are_drawn_together():
    _, rows = samples(200)
    columns = dict(zip("xzya", np.repeat(rows, 10, axis=0).T, strict=True))
    alone = estimated(count_rows(columns, G3)).effects["naive"].probabilities
    together = count_rows({**columns, "speaker": [f"s{i // 10}" for i in range(2000)]}, G3, "speaker")
    assert together.clusters is not None
    wide = estimated(together).effects["naive"].probabilities
    np.testing.assert_allclose(wide.values, alone.values)
    ratio = (wide.high - wide.low) / (alone.high - alone.low)
    assert (ratio > 2.5).all()  # ten copies of a row are worth one: √10
    with pytest.raises(DataError, match="two or more rows or clusters"):
        estimated(count_rows({**columns, "one": ["s"] * 2000}, G3, "one"))


def test_without_auxiliary_nodes():
    graph = Graph.of("u -> x -> z -> y", "u -> y", latent=["u"])
    generator = torch.Generator().manual_seed(0)
    scm = DiscreteSCM.random(graph, generator)
    counts = count_rows(scm.sample(3000, generator), graph)
    assert counts.cells.shape == (2, 2, 2, 1)
    found = estimated(counts, graph)
    assert list(found.effects) == ["naive", "front-door"]
    assert found.effects["front-door"].warranted
    assert "a=" not in effects_text(found)


def test_cells_without_rows_are_named_and_weighed():
    rows = np.array([[x, z, y, a] for x in (0, 1) for z in (0, 1) for y in (0, 1) for a in (0, 1) for _ in range(10)])
    rows = rows[~((rows[:, 0] == 1) & (rows[:, 1] == 1) & (rows[:, 3] == 0))]
    counts = count_rows(rows, G3)
    found = support("beta-front-door", counts, G3)
    share = counts.cells.sum(axis=(1, 2)) / 140  # (x, a): a = 0 has 40 rows of x = 0 and 20 of x = 1
    a0 = share[:, 0].sum()
    np.testing.assert_allclose(found.missing, [a0 * 0.5 * (share[1, 0] / a0), 0], atol=1e-12)
    assert found.cells == ("z=1, x=1, a=0",)
    assert found.thin.max() == 0
    with pytest.warns(PositivityWarning, match=r"beta-front-door: up to 7\.1% .* without rows \(z=1, x=1, a=0\)"):
        estimated(counts)
    plain = support("front-door", counts, G3)
    assert plain.cells == ()
    assert plain.missing.max() < 1e-12


@pytest.mark.parametrize("name", [*TREATMENT_FORMULAS, "beta-front-door-given"])
def test_support_is_the_weight_that_each_cell_has(name):
    """Weights by differentiating: a formula is linear in its last factor."""
    _, rows = samples(60, seed=4)
    counts = count_rows(rows, G3)
    found, axes = support(name, counts, G3), FORMULAS[name].cells.replace("w", "x")
    table = np.einsum(f"xzya->{axes}", counts.cells)
    few = np.zeros(2)
    none = np.zeros(2)
    for place in np.ndindex(*table.shape):
        one = np.zeros((1, *table.shape))
        one[(0, *place)] = 1.0
        weight = causal.effects.evaluate(name, counts.cells, outcome=one)[..., 0]
        weight = weight if weight.ndim == 1 else weight @ (counts.cells.sum(axis=(0, 1, 2)) / 60)
        few += weight * (0 < table[place] < MIN_ROWS)
        none += weight * (table[place] == 0)
    np.testing.assert_allclose(found.thin, few, atol=1e-12)
    np.testing.assert_allclose(found.missing, none, atol=1e-12)


def test_a_computed_mediator_is_called_one():
    rows = samples()[1].copy()
    rows[:, 1] = 2 * rows[:, 0] + rows[:, 3]
    with pytest.warns(PositivityWarning) as told:
        found = estimated(count_rows(rows, G3))
    assert str(told[0].message).startswith("z is a function of x and a in these rows: no formula that goes through it")
    assert found.warnings[0] == str(told[0].message)
    values = {name: found.effects[name].probabilities.values for name in ("naive", "beta-front-door")}
    np.testing.assert_allclose(values["beta-front-door"], values["naive"], atol=1e-12)  # only x' = x is left


def test_noise_of_our_own_makes_the_front_door_report_no_effect():
    graph = Graph.of("u -> x -> z", "x -> y", "u -> y", latent=["u"])  # y follows x, not the noisy z
    scm = DiscreteSCM.random(graph, torch.Generator().manual_seed(0))
    assert np.ptp(causal.front_door(scm.observed()), axis=0).max() < 1e-12
    assert np.ptp(scm.effect(), axis=0).max() > 0.05
    assert not causal.check_front_door(graph).holds


def test_only_warranted_formulas_warn():
    rows = samples(40, "g7")[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert estimated(count_rows(rows, EXAMPLES["g7"].graph), EXAMPLES["g7"].graph).warnings == ()


def table(**changed):
    rows = samples(50)[1]
    columns = {name: [f"v{value}" for value in column] for name, column in zip("xzya", rows.T, strict=True)}
    return {**columns, **changed}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"z": [i / 7 for i in range(60)]}, "the column 'z' has 60 different values; at most 50 are allowed; bin it"),
        ({"z": [f"w{i}" for i in range(60)]}, "the column 'z' has 60 different .*; merge them into fewer"),
        ({"x": ["a"] * 60}, "the column 'x' has the single value 'a'; a role needs two or more"),
        ({"a": ["p", None] * 30}, "row 2 has no value in the column 'a'"),
        ({"a": ["p", "NA"] * 30}, "row 2 has no value in the column 'a' .it holds 'NA'; 30 of 60 rows have none"),
        ({"a": ["p", "nan"] * 30}, "row 2 has no value"),
        ({"a": ["p", "N/A"] * 30}, "row 2 has no value"),
        ({"a": [0.5, float("nan")] * 30}, "row 2 has no value in the column 'a'"),
        ({}, "the table has no rows"),
    ],
)
def test_a_table_that_is_not_fit(columns, message):
    full = {name: ["p", "q"] * (30 if columns else 0) for name in "xzya"}
    with pytest.raises(DataError, match=message):
        count_rows({**full, **columns}, G3)


def test_other_mistakes():
    with pytest.raises(DataError, match=r"the table has no column 'a'; known: x, y, z"):
        count_rows({name: ["p", "q"] for name in "xzy"}, G3)
    with pytest.raises(DataError, match=r"the columns have different lengths: x 2, .* a 3"):
        count_rows({**{name: ["p", "q"] for name in "xzy"}, "a": [1, 2, 3]}, G3)
    with pytest.raises(DataError, match=r"samples are \(N, 4\) integers for x, z, y, a; got float64"):
        count_rows(np.zeros((5, 4)), G3)
    with pytest.raises(DataError, match=r"50×50×50×1 combinations of values; at most"):
        count_rows({**{name: list(range(50)) for name in "xzy"}, "a": [1] * 50}, G3)
    counts = count_rows(samples(50)[1], G3)
    for wrong in ({"resamples": 1}, {"level": 1.0}):
        with pytest.raises(DataError, match="intervals need 2 or more resamples"):
            estimated(counts, **wrong)


def test_levels_are_sorted_as_numbers_or_as_text():
    columns = {
        "x": ["10", "9", "9"],
        "z": ["b", "a", "c"],
        "y": [True, False, True],
        "a": [1.0, 2.0, 1.0],
        "b": [0, 0, 7],
    }
    graph = Graph.of("x -> z -> y", "a -> y", "b -> y", auxiliary=["a", "b"])
    levels = count_rows(columns, graph).levels
    assert levels["x"] == ("9", "10")
    assert levels["z"] == ("a", "b", "c")
    assert levels["a"] == ("a=1, b=0", "a=1, b=7", "a=2, b=0")


def test_a_data_frame_is_a_table_too():
    pandas = pytest.importorskip("pandas")
    rows = samples(200)[1]
    frame = pandas.DataFrame(rows, columns=list("xzya"))
    np.testing.assert_array_equal(count_rows(frame, G3).cells, count_rows(rows, G3).cells)
    frame = frame.astype("Int64")
    frame.loc[3, "z"] = pandas.NA
    with pytest.raises(DataError, match="row 4 has no value in the column 'z'"):
        count_rows(frame, G3)


def test_files_of_each_kind(tmp_path):
    rows = samples(100)[1]
    wanted = count_rows(rows, G3).cells
    lines = [",".join(map(str, row)) for row in rows]
    (tmp_path / "t.csv").write_text("\n".join(["x,z,y,a", *lines]), encoding="utf-8")
    objects = [f'{{"x": {x}, "z": {z}, "y": {y}, "a": {a}}}' for x, z, y, a in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(objects), encoding="utf-8")
    for name in ("t.csv", "t.jsonl"):
        np.testing.assert_array_equal(read_counts(tmp_path / name, G3).cells, wanted)
    with pytest.raises(DataError, match=r"t\.txt: a manifest is"):
        read_counts(tmp_path / "t.txt", G3)
    with pytest.raises(DataError, match=r"t\.csv: the table has no column 'z2'"):
        read_counts(tmp_path / "t.csv", Graph.of("x -> z2 -> y", mediator="z2"))


def test_text_and_json_say_the_same():
    found = estimated(count_rows(samples()[1], G3))
    text, values = effects_text(found), effects_json(found)
    number = values["effects"]["beta-front-door"]["probabilities"]["values"][1][1]
    assert f"x=1         {number:.3f} [" in text
    assert values["levels"]["x"] == ["0", "1"]
    assert values["effects"]["randomised-mediator"]["warranted"] is False
    assert "not the effect of x" in text
    assert text.count("not warranted by the graph") == 4
