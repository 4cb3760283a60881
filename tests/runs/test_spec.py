import json
import math

import pytest

from deconfound.errors import SpecError
from deconfound.runs.spec import Spec

GOOD = {"method": "erm", "data": {"synthetic": {}}}


def test_defaults_are_filled_in_and_survive_json():
    spec = Spec.of({"method": "cmir", "data": {"synthetic": {}}})
    assert spec.method["environments"] == 4
    assert Spec.of(json.loads(json.dumps(spec.dump()))) == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**GOOD, "method": "cmri"}, "there is no method 'cmri'; did you mean 'cmir'"),
        ({"data": {}}, "'method' is missing"),
        ({**GOOD, "data": {"scale": "rank"}}, "data.scale = 'rank': give one of standard, robust, rank-gauss, none"),
        (
            {**GOOD, "data": {"scale": {"m1": 3}}},
            "data.scale = {'m1': 3}: give one of standard, robust, rank-gauss, none",
        ),
        ({**GOOD, "method": {"name": "cmir", "invarance": 1}}, "'invarance'; did you mean 'invariance'"),
        ({**GOOD, "method": {"name": "cmir", "invariance": -1}}, "invariance = -1: input should be greater"),
        ({**GOOD, "train": {"epoch": 3}}, "'train.epoch'; did you mean 'epochs'"),
        ({**GOOD, "train": {"learning_rate": 0}}, "train.learning_rate = 0: input should be greater than 0"),
        ({**GOOD, "train": {"learning_rate": math.inf}}, "train.learning_rate = inf: input should be a finite"),
        ({**GOOD, "method": {"name": "cmir", "invariance": math.inf}}, "invariance = inf: input should be a finite"),
        ({**GOOD, "seed": -1}, "seed = -1"),
        (
            {**GOOD, "train": {"class_weights": "balanced"}},
            "'train.class_weights'; classes and rows have no weights",
        ),
        ({**GOOD, "backbone": {"fusion": "concatt"}}, "there is no fusion 'concatt'; did you mean 'concat'"),
        ({**GOOD, "backbone": {"encoders": {"m1": "gur"}}}, "there is no encoder 'gur'; did you mean 'gru'"),
        ({**GOOD, "data": {"synthetic": {}, "store": "x"}}, "exclude each other"),
        ({**GOOD, "method": {"strength": 1}}, "method.name is missing"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(SpecError) as caught:
        Spec.of(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_names_itself_in_errors_and_gives_stores_their_folder(tmp_path):
    file = tmp_path / "a b.toml"
    file.write_text('method = "erm"\n[data]\nstore = "stores/x"\n')
    assert Spec.read(file).data.store == str(tmp_path / "stores" / "x")
    file.write_text("method = ")
    with pytest.raises(SpecError, match=r"a b\.toml is not TOML"):
        Spec.read(file)
    with pytest.raises(SpecError, match="cannot read"):
        Spec.read(tmp_path / "none.toml")


def test_the_first_difference_is_told():
    other = Spec.of({**GOOD, "train": {"epochs": 3}})
    assert Spec.of(GOOD).difference(other) == "train.epochs is None here and 3 there"
    assert other.difference(other) is None
    assert (Spec.of({**GOOD, "method": "cmir"}).difference(other) or "").startswith("method.name is 'cmir'")
