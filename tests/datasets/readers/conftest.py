import pytest


@pytest.fixture(autouse=True)
def _extraction_cache(tmp_path_factory, monkeypatch):
    """Tests neither use nor leave features in the user's cache."""
    monkeypatch.setenv("DECONFOUND_CACHE", str(tmp_path_factory.mktemp("cache")))
