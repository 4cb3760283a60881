import pytest

from deconfound.errors import SpecError
from deconfound.runs.spec import Spec
from deconfound.sweeps.search_space import search_space
from deconfound.sweeps.spec import SweepSpec
from support.sweeping import TOY, small_sweep

TEXT = """
name = "two methods"
seeds = [3, 5]
draws = 4
threads = "divide"

[base.train]
epochs = 7

[search.train]
learning_rate = {low = 1e-4, high = 1e-2, log = true}

[[dataset]]
name = "mosi"
store = "stores/mosi"
environment = ["video"]

[[method]]
name = "erm"

[[method]]
name = "cmir"
label = "cmir, text only"
arguments = {strength = 0.3}
modalities = ["text"]

[selection]
rule = "worst-group"

[evaluation]
scenarios = "asked.toml"
"""


def test_a_file_is_read_with_its_paths_taken_from_its_folder(tmp_path):
    (tmp_path / "sweep.toml").write_text(TEXT)
    (tmp_path / "asked.toml").write_text('[[scenario]]\nname = "loud"\nsplit = "test"\ncorruption = "gaussian"\n')
    spec = SweepSpec.read(tmp_path / "sweep.toml")
    assert (spec.seeds, spec.configurations, spec.threads) == ((3, 5), 4, "divide")
    assert spec.dataset[0].store == str(tmp_path / "stores" / "mosi")
    assert spec.method[1].title == "cmir, text only"
    assert spec.base.train.epochs == 7
    assert spec.evaluation.tables == ({"name": "loud", "split": "test", "corruption": "gaussian"},)
    assert SweepSpec.of(spec.model_dump(mode="json")) == spec


def test_numbers_of_seeds_and_draws():
    assert small_sweep(seeds=3).seeds == (0, 1, 2)
    assert [small_sweep(draws=n).configurations for n in (0, 1, 5)] == [1, 1, 5]


def test_the_seeds_that_judge_are_the_first_ones():
    apart = "leave-one-environment-out"
    assert small_sweep(seeds=[7, 3, 5]).judging_seeds == (7, 3, 5)
    assert small_sweep(seeds=[7, 3, 5], selection={"seeds": 2}).judging_seeds == (7, 3)
    assert small_sweep(seeds=[7, 3, 5], selection={"rule": apart}).judging_seeds == (7,)
    assert small_sweep(seeds=[7, 3, 5], selection={"rule": apart, "seeds": 3}).judging_seeds == (7, 3, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "there is no argument 'seed'; did you mean 'seeds'?"),
        ({"seeds": 0}, r"seeds = 0: give a number of seeds from 1"),
        ({"seeds": [1, 1]}, r"seeds = \[1, 1\] contains a seed twice"),
        ({"threads": 0}, "threads = 0: give a number from 1 to 1024, or 'divide'"),
        ({"method": [{"nam": "erm"}]}, r"\[\[method\]\] number 1: "),
        ({"method": [{"name": "erm", "lable": "x"}]}, r"\[\[method\]\] number 1: .*'lable'; did you mean 'label'"),
        ({"method": [{"name": "erm"}, {"name": "erm"}]}, r"two \[\[method\]\] tables are called 'erm'.*own label"),
        ({"method": []}, "method = "),
        ({"dataset": [TOY | {"stor": "x"}]}, r"\[\[dataset\]\] number 1: .*'stor'; did you mean 'store'"),
        ({"dataset": [TOY, TOY]}, "two .* tables are called 'toy'"),
        ({"selection": {"rule": "test"}}, "selection.rule = 'test'"),
        ({"selection": {"seeds": 3}}, "selection.seeds = 3, but the sweep has only 2 seeds; lower it"),
        ({"selection": {"seeds": 0}}, "selection.seeds = 0"),
        ({"selection": {"rul": "valid"}}, "'selection.rul'; did you mean 'rule'"),
        ({"base": {"train": {"epoch": 1}}}, "'base.train.epoch'; did you mean 'epochs'"),
        ({"base": {"train": {"threads": 2}}}, "give 'threads' at the top"),
        ({"base": {"train": {"devices": 2}}}, "a sweep uses one process per run"),
        ({"search": {"train": {"learning_rate": {"low": 0, "high": 1, "log": True}}}}, "are not a range"),
        ({"search": {"train": {"learning_rate": {"low": 2, "high": 1}}}}, "are not a range"),
        ({"evaluation": {"tables": [{"name": "x", "split": "valid", "wher": {}}]}}, "'wher'; did you mean 'where'"),
        ({"evaluation": {"scenarios": "x", "tables": [{}]}}, "are both set; keep one of them"),
        (
            {"selection": {"rule": "leave-one-environment-out"}, "dataset": [TOY | {"leave_out": "environment=e1"}]},
            "remove one of them",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(change, message):
    with pytest.raises(SpecError, match=message) as caught:
        small_sweep(**change)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(SpecError, match=r"cannot read the sweep .*none\.toml: No such file"):
        SweepSpec.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seeds = ")
    with pytest.raises(SpecError, match=r"bad\.toml is not TOML"):
        SweepSpec.read(tmp_path / "bad.toml")
    (tmp_path / "sweep.toml").write_text(TEXT)
    with pytest.raises(SpecError, match=r"cannot read the scenarios .*asked\.toml"):
        SweepSpec.read(tmp_path / "sweep.toml")
    (tmp_path / "typo.toml").write_text(TEXT.replace("draws", "drawz"))
    with pytest.raises(SpecError, match=r"typo\.toml: there is no argument 'drawz'; did you mean 'draws'"):
        SweepSpec.read(tmp_path / "typo.toml")


def test_a_corruption_in_a_file_is_found_beside_the_sweep_and_not_run_from_its_folder(tmp_path):
    code = (
        "from pathlib import Path\nfrom deconfound.corruption import Corruption\n"
        "Path(__file__).with_name('ran').touch()\n"
        "class Same(Corruption):\n    def __call__(self, batch, severity, generator):\n        return batch\n"
    )
    (tmp_path / "own.py").write_text(code)
    table = '[[scenario]]\nname = "same"\nsplit = "test"\npython = "own.py:Same"\n'
    inside = TEXT.replace('scenarios = "asked.toml"', "") + table.replace("[[scenario]]", "[[evaluation.tables]]")
    for name, text in (("beside", TEXT), ("inside", inside)):
        (tmp_path / f"{name}.toml").write_text(text)
        (tmp_path / "asked.toml").write_text(table)
        spec = SweepSpec.read(tmp_path / f"{name}.toml")
        assert spec.evaluation.tables[0]["python"] == f"{tmp_path}/own.py:Same"
    (tmp_path / "ran").unlink()
    (tmp_path / "own.py").write_text(code + "#")
    SweepSpec.of(spec.model_dump(mode="json"), run_code=False)
    assert not (tmp_path / "ran").exists()


def test_a_method_in_a_file_is_named_beside_the_sweep_and_searched(tmp_path):
    (tmp_path / "own.py").write_text(
        "from typing import Annotated\nfrom deconfound import Backbone, Search\nfrom deconfound.methods.erm import ERM\n"
        "class Mine(ERM):\n"
        "    def __init__(self, backbone: Backbone, *, weight: Annotated[float, Search(0.1, 2)] = 1.0) -> None:\n"
        "        super().__init__(backbone)\n"
    )
    text = TEXT.replace('name = "erm"', 'name = "mine"\npython = "own.py:Mine"').replace('scenarios = "asked.toml"', "")
    (tmp_path / "sweep.toml").write_text(text)
    spec = SweepSpec.read(tmp_path / "sweep.toml")
    mine = spec.method[0]
    assert mine.title == "mine"
    assert [dimension.key for dimension in search_space(mine, spec.base, spec.search)] == [
        "method.weight",
        "train.learning_rate",
    ]
    run = Spec.of({"method": mine.table({"method": {"weight": 0.5}})})
    assert run.method == {"name": "mine", "python": f"{tmp_path}/own.py:Mine", "weight": 0.5}


def test_draws_are_compared_by_what_chose_the_epochs_or_by_the_metric():
    assert small_sweep().criterion == "risk"
    assert small_sweep(train={"criterion": "calibrated-risk"}).criterion == "calibrated-risk"
    assert small_sweep(selection={"criterion": "metric"}).criterion == "metric"
    assert small_sweep(selection={"rule": "worst-group"}).criterion == "metric"
    for selection in ({"criterion": "calibrated-risk"}, {"criterion": "risk", "rule": "oracle"}):
        with pytest.raises(SpecError, match=r"draws are compared by the metric, or by what chose the epochs"):
            small_sweep(selection=selection)
