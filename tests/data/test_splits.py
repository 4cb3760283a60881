import pytest

from deconfound.data.splits import in_distribution, known_names
from deconfound.errors import DataError
from deconfound.evaluation.scenario import default_scenarios
from deconfound.registry import names
from support.small import tiny


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("test", "test-iid", "test-ood"), "test-iid"),
        (("other", "test"), "test"),
        (("test-flip", "other", "more"), "other"),
        (("test-ood",), None),
        (("test-ood", "test-flip"), None),
        ((), None),
    ],
)
def test_a_name_that_says_what_changed_is_not_in_distribution(splits, expected):
    assert in_distribution(splits) == expected


@pytest.mark.parametrize(
    "name", ["gaussian", "drop-frames", "drop-modality", "present=text", "present=", "te\nst", "\ud800"]
)
def test_a_split_with_the_name_of_a_scenario_is_refused(name):
    with pytest.raises(DataError, match="rename it") as refused:
        tiny(splits=("train", "valid", name))
    assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="rename it"):
        tiny().resplit(["train", "valid", name] * 4)


def test_every_default_scenario_has_a_name_of_its_own():
    corruptions = names("corruptions")
    scenarios = [scenario.name for scenario in default_scenarios(tiny())]
    assert len(set(scenarios)) == len(scenarios)
    for name in scenarios:
        assert name in tiny().splits or name in corruptions or name.startswith("present=")


@pytest.mark.parametrize(
    ("splits", "renamed"),
    [
        (["train", "val", "test"], {"val": "valid"}),
        (["Train", "DEV", "test"], {"Train": "train", "DEV": "valid"}),
        (["training", "validation"], {"training": "train", "validation": "valid"}),
        (["train", "valid", "val"], {}),
        (["train", "val", "dev"], {}),
        (["train", "test"], {}),
    ],
)
def test_common_names_of_train_and_valid_are_known(splits, renamed):
    assert known_names([*splits, *splits]) == renamed
