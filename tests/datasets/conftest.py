import pytest

from support.data_making import write_table


@pytest.fixture
def folder(tmp_path):
    """A folder with a table: corpus.toml and what it names."""
    write_table(tmp_path)
    return tmp_path
