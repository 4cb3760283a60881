from deconfound.errors import LONGEST, DataError


def test_a_message_is_a_line_however_long_the_value_in_it():
    assert str(DataError("the column 'a' is missing; name another")) == "the column 'a' is missing; name another"
    line = str(DataError(f"the column {'x' * 5000!r} is missing; name another"))
    assert len(line) < LONGEST
    assert line.startswith("the column 'xxx")
    assert line.endswith("xxx' is missing; name another")
