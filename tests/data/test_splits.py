import pytest

from deconfound.data.splits import in_distribution


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
