import tomllib

from hypothesis import given
from hypothesis import strategies as st

from deconfound.io.toml_writer import toml_text

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLAIN = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    PLAIN | st.lists(PLAIN, max_size=3) | st.lists(st.dictionaries(TEXT, PLAIN, max_size=2), max_size=2),
    lambda inner: st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_the_standard_library_reads_back_what_was_written(values):
    assert tomllib.loads(toml_text(values)) == values


def test_nothing_is_left_out_and_tables_come_last():
    text = toml_text({"a": {"b": 1, "c": {"d": "e"}}, "x": None, "list": [{"k": 1e-5}], "last": (1, 2)})
    assert text == 'list = [{ k = 1e-05 }]\nlast = [1, 2]\n\n[a]\nb = 1\n\n[a.c]\nd = "e"\n'
