import importlib.util
import os
import threading
import time
from pathlib import Path

import pytest

from deconfound.errors import SpecError
from deconfound.sweeps.executors import Resources, make_executor
from deconfound.sweeps.sweep import run_sweep
from support.sweeping import results, small_sweep

ABSENT = importlib.util.find_spec("ray") is None and not os.environ.get("CI")
pytestmark = [
    pytest.mark.skipif(ABSENT, reason="Ray is not installed; it comes with the extra 'cluster'"),
    pytest.mark.filterwarnings("default"),
]
FEW = {"seeds": 2, "draws": 1, "train": {"epochs": 12, "patience": 12}}


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes with one core each on this machine."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    import ray
    from ray.cluster_utils import Cluster

    memory = 100 * 2**20
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": memory})
    made.add_node(num_cpus=1, object_store_memory=memory)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_two_nodes_give_the_records_of_one_process_though_one_dies(tmp_path, cluster):
    alone = tmp_path / "alone"
    assert not run_sweep(small_sweep(**FEW), alone).unfinished
    out, second = tmp_path / "cluster", cluster.list_all_nodes()[1]

    def strike() -> None:
        """Kill the second node, with whatever it is doing, as soon as two jobs run; the first one does all the rest."""
        until = time.monotonic() + 60
        while len(list(out.glob("runs/*/spec.json"))) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=strike)
    killer.start()
    summary = run_sweep(small_sweep(**FEW), out, executor="ray", resources=Resources(address=cluster.address))
    killer.join()
    assert not summary.unfinished
    assert not summary.failed
    assert results(out) == results(alone)


def test_what_a_cluster_cannot_do_is_told():
    with pytest.raises(SpecError, match="'divide' is not possible on a cluster"):
        make_executor("ray", Resources(threads="divide"))
    with pytest.raises(SpecError, match="a running cluster decides"):
        make_executor("ray", Resources(workers=2, address="auto"))
    executor = make_executor("ray", Resources(threads=2, gpus=0.25))
    assert executor.threads == 2


def test_the_extra_is_named_where_ray_is_missing(monkeypatch):
    import importlib

    load = importlib.import_module

    def missing(name, *more):
        if name == "ray":
            raise ImportError(name)
        return load(name, *more)

    monkeypatch.setattr("deconfound.sweeps.executors.ray.importlib.import_module", missing)
    from deconfound.sweeps.executors.ray import RayCluster

    with pytest.raises(SpecError, match=r"pip install 'deconfound\[cluster\]'"):
        RayCluster(Resources())
