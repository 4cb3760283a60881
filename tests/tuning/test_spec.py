"""The specification of a tuning: what is searched, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from deconfound.errors import SpecError
from deconfound.io.toml_writer import toml_text
from deconfound.runs.spec import Spec
from deconfound.search import Search
from deconfound.tuning.spec import TuneSpec, slug
from support.tune_small import RATE, spec


def test_the_space_is_that_of_the_annotations_without_what_is_fixed():
    tuning = spec()
    erm, cmir = ({d.key: d for d in tuning.space(entry)} for entry in tuning.method)
    assert list(erm) == ["train.learning_rate"]
    assert (erm["train.learning_rate"].default, erm["train.learning_rate"].integer) == (1e-3, False)
    assert "method.dim" not in cmir
    environments = cmir["method.environments"]
    assert (environments.low, environments.high, environments.integer, environments.default) == (1, 5, True, 4)
    assert Search(0.01, 10, log=True) == Search(
        *(getattr(cmir["method.invariance"], k) for k in ("low", "high", "log"))
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trial": 3}, "no argument 'trial'; did you mean 'trials'"),
        ({"trials": 0}, "trials = 0: input should be greater than or equal to 1"),
        ({"method": [{"name": "cmri"}]}, "did you mean 'cmir'"),
        ({"method": [{"name": "erm", "arg": 1}]}, r"\[\[method\]\] number 1: there is no argument 'arg'"),
        ({"method": [{"name": "erm"}, {"name": "erm"}]}, "two .* called 'erm'; give each its own label"),
        ({"method": [{"name": "erm"}], "search": {}}, "erm has nothing to search; give a range"),
        ({"search": {"train": {"rate": RATE}}}, r"\[search.train\] has no 'rate'"),
        ({"search": {"train": {"precision": RATE}}}, "train.precision is not a number, so it has no range"),
        (
            {"search": {"train": {"clip": {"low": 0, "high": 1}}}},
            "the range of train.clip does not fit: .*greater than 0",
        ),
        ({"search": {"backbone": {"dropout": {"low": 0.5, "high": 0.1}}}}, "are not a range"),
        ({"seeds": [1, 1]}, "contains a seed twice"),
        ({"base": {"train": {"devices": 2}}}, "a trial uses one process"),
    ],
)
def test_a_mistake_is_told_in_one_line(changes, message):
    with pytest.raises(SpecError, match=message) as caught:
        spec(**changes)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_tuning_are_refused(tmp_path):
    with pytest.raises(SpecError, match="cannot read the tuning"):
        TuneSpec.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("trials = ")
    with pytest.raises(SpecError, match="is not TOML"):
        TuneSpec.read(tmp_path / "bad.toml")


def test_importing_the_command_loads_no_torch():
    script = "import sys, deconfound.cli.tune; assert not {'torch', 'optuna', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_penalties_and_augmentations_are_searched_with_their_method():
    joined = {"name": "erm", "penalties": {"group-dro": {"weight": 0.5}}, "augmentations": {"mixup": {}}}
    tuning = spec(method=[joined], search={})
    (entry,) = tuning.method
    assert [d.key for d in tuning.space(entry)] == ["penalties.group-dro.rate", "augmentations.mixup.alpha"]
    run = tuning.run_spec(entry, {"penalties.group-dro.rate": 0.05, "augmentations.mixup.alpha": 2.0}, 3)
    assert run.title == "erm + group-dro + mixup"
    assert slug(entry.title) == "erm+group-dro+mixup"
    assert run.method["penalties"] == {"group-dro": {"weight": 0.5, "rate": 0.05, "ramp": 0.0}}
    assert run.method["augmentations"] == {"mixup": {"alpha": 2.0}}
    assert Spec.of(tomllib.loads(toml_text(run.dump()))) == run
