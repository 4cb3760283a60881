import pytest

from deconfound.errors import SpecError
from deconfound.sweeps.executors import Resources, cores, make_executor, names


def test_executors_are_found_by_name():
    assert names() == ["processes", "ray", "serial"]
    with pytest.raises(SpecError, match="there is no executor 'process'; did you mean 'processes'"):
        make_executor("process", Resources())


def test_serial_refuses_what_it_has_no_use_for():
    assert make_executor("serial", Resources(threads=3)).threads == 3
    assert make_executor("serial", Resources(threads="divide")).threads == cores()
    assert make_executor("serial", Resources(workers=1)).threads == 1
    with pytest.raises(SpecError, match="workers = 4 needs the executor 'processes'"):
        make_executor("serial", Resources(workers=4))
    with pytest.raises(SpecError, match="the executor 'serial' does not use gpus"):
        make_executor("serial", Resources(gpus=0.5))
