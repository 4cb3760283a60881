import pytest

from deconfound.errors import SpecError
from deconfound.method import Method


@pytest.mark.parametrize("hook", ["on_epoch_start", "variants", "check"])
def test_a_hook_that_would_never_be_called_is_refused_where_it_is_defined(hook: str) -> None:
    with pytest.raises(SpecError, match=rf"Late\.{hook} would never be called.*hooks=MethodHooks\({hook}="):
        type("Late", (Method,), {hook: lambda self: None})
