"""Every reader of files, each with a valid example and the mutations of its files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from support import mutating
from support.fabricate import fabricate
from support.mutating import Mutation


@dataclass(frozen=True)
class Reader:
    """One reader of files.

    Args:
        make: writes a valid example into an empty folder.
        read: reads the example from the folder.
        mutations: path in the folder → mutation of that file.
        cost: about how many milliseconds a call takes; dearer readers get fewer inputs.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    mutations: Mapping[str, Mutation]
    cost: float = 1.0


ENSEMBLE = json.dumps(
    {"members": [{"name": f"erm-{n}", "method": "erm", "seed": n, "weights": f"{n}" * 64} for n in (0, 1)]}
)


def _write(**files: str | bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return make


SPEC = """
method = "erm"
seed = 3
[data]
synthetic = {rows = 64}
[backbone]
hidden = 8
[train]
epochs = 2
learning_rate = 0.01
"""
SWEEP = """
name = "s"
seeds = 2
draws = 2
threads = 1
[base.train]
epochs = 2
[[dataset]]
name = "toy"
synthetic = {rows = 64}
[[method]]
name = "erm"
[[method]]
name = "cmir"
arguments = {dim = 4}
[search.train]
learning_rate = {low = 1e-4, high = 1e-2, log = true}
[selection]
rule = "valid"
"""
TUNE = """
trials = 2
seeds = 2
seed = 1
[data]
synthetic = {rows = 64}
[base.train]
epochs = 2
[[method]]
name = "erm"
[search.train]
learning_rate = {low = 1e-4, high = 1e-2, log = true}
[pruning]
enabled = false
"""
SCENARIOS = """
[[scenario]]
name = "loud"
split = "test"
where = {room = ["street", 3]}
corruption = "gaussian"
severities = [0.5, 1.0]
repeats = 2
[[scenario]]
name = "text"
split = "test"
present = ["text"]
"""
GRAPH = """
observed = ["x", "z", "y"]
latent = ["u"]
edges = ["u -> x", "x -> z -> y", "u -> y"]
[roles]
treatment = "x"
mediator = "z"
outcome = "y"
"""
CAUSAL = "x,z,y,s\n" + "".join(f"{i % 2},{i // 2 % 2},{(i + i // 4) % 3},s{i % 5}\n" for i in range(40))
TABLE = """
name = "corpus"
manifest = "rows.csv"
environment = ["speaker"]
[target]
column = "score"
kind = "regression"
[split]
column = "split"
[modalities.audio]
file = "audio.npy"
[modalities.text]
file = "text.npz"
key = "values"
lengths = "frames"
"""
SPLITS = ("train", "train", "valid", "test")
ROWS = [
    {
        "id": f"{i:03}",
        "score": i / 2,
        "split": SPLITS[i % 4],
        "speaker": f"s{i // 2}",
        "frames": 1 + i % 4,
    }
    for i in range(12)
]


def _table(ending: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        generator = np.random.default_rng(0)
        (folder / "corpus.toml").write_text(TABLE.replace("rows.csv", f"rows.{ending}"))
        np.save(folder / "audio.npy", generator.normal(size=(12, 4, 3)).astype(np.float32))
        np.savez(folder / "text.npz", values=generator.normal(size=(12, 4, 2)), mask=np.ones((12, 4), bool))
        path = folder / f"rows.{ending}"
        if ending == "csv":
            path.write_text("\n".join([",".join(ROWS[0]), *(",".join(map(str, row.values())) for row in ROWS)]) + "\n")
        elif ending == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(ROWS), path)

    return make


def _read_table(folder: Path) -> None:
    from deconfound.data.describe import describe
    from deconfound.datasets.readers.table import read_table

    dataset = read_table(folder / "corpus.toml")
    _ = dataset.checksum, dataset.metadata, dataset.env, describe


def _read_inputs(folder: Path) -> None:
    from deconfound.datasets.table_source import read_inputs

    read_inputs(folder / "corpus.toml")


def _make_mmsa(folder: Path) -> None:
    from support.data_making import corpus

    (folder / "a.pkl").write_bytes(pickle.dumps(corpus()))


def _read_mmsa(folder: Path) -> None:
    from deconfound.datasets.readers.mmsa import read_mmsa

    _ = read_mmsa(folder / "a.pkl").checksum


def _make_store(folder: Path) -> None:
    from deconfound.data.store import save
    from support.small import tiny

    save(tiny(), folder / "store")


def _read_store(folder: Path) -> None:
    from deconfound.data.store import check_store

    dataset = check_store(folder / "store")
    _ = dataset.metadata, dataset.env, dataset.development().batch("train")


def _make_run(folder: Path) -> None:
    from deconfound.runs.spec import Spec

    fabricate(folder / "run")
    spec = Spec.of({"method": "erm", "data": {"synthetic": {"rows": 64}}})
    (folder / "run" / "spec.json").write_text(spec.model_dump_json())
    environment = json.loads((folder / "run" / "environment.json").read_text())
    environment["data"] |= {
        "task": {"kind": "regression", "classes": [], "loss": "mse", "protocol": "regression"},
        "repairs": {
            "text": {"invalid": "feature", "width": 2, "dropped": [1], "means": [0.5, 0.0], "flagged": []},
            "audio": None,
        },
    }
    (folder / "run" / "environment.json").write_text(json.dumps(environment))


def _open_run(folder: Path) -> None:
    from deconfound.runs.run import Run

    run = Run.open(folder / "run")
    _ = run.done, run.environments, run.spec.title


def _read_run(folder: Path) -> None:
    from deconfound.results.collect_runs import collect_runs

    collect_runs([folder / "run"])


def _read_records(folder: Path) -> None:
    from deconfound.evaluation.records import frame, read_records

    frame(read_records(folder / "run" / "records.jsonl")).groupby("metric")["value"].mean()


def _read_log(folder: Path) -> None:
    from deconfound.runs.csv_log import read_log
    from deconfound.sweeps.progress import epochs_trained

    read_log(folder / "run" / "log.csv")
    epochs_trained(folder / "run")


def _make_predictions(folder: Path) -> None:
    from deconfound.evaluation.predictions import Predictions, save_predictions

    rows, output = np.arange(6), np.zeros((1, 1, 6, 1), np.float32)
    ids = np.array([f"r{i}" for i in rows], dtype=object)
    kept = Predictions(
        "test", "{}", "test", True, 0, np.zeros(1), rows, ids, np.ones(6, np.float32), output, {"a": output}
    )
    save_predictions(folder / "a.npz", kept)


def _read_predictions(folder: Path) -> None:
    from deconfound.evaluation.predictions import load_predictions

    load_predictions(folder / "a.npz")


def _make_checkpoint(folder: Path) -> None:
    import torch

    from deconfound.runs.checkpoint import write_checkpoint

    tree = {
        "state_dict": {"method.w": torch.ones(3, 2), "method.b": torch.zeros(3)},
        "epoch": 3,
        "more": [1, (None, "a")],
    }
    write_checkpoint(tree, folder / "a.safetensors")


def _read_checkpoint(folder: Path) -> None:
    from deconfound.runs.checkpoint import read_weights

    read_weights(folder / "a.safetensors", "method.")


def _make_sweep(folder: Path) -> None:
    from deconfound.runs.spec import Spec

    budget = {"epochs": 4, "batch_size": 32, "learning_rate": 1e-3, "patience": 4, "window": 1}
    spec = Spec.of({"method": "erm", "data": {"synthetic": {"rows": 64}}, "train": budget}).dump()
    common = {"dataset": "toy", "method": "erm", "draw": 0, "seed": 0, "left_out": None}
    jobs = [common | {"id": name, "checksum": "c", "spec": spec, "final": False} for name in ("a1", "b2")]
    toy = {"name": "toy", "synthetic": {"rows": 64}}
    budget = {
        "draws": 1,
        "seeds": 2,
        "judging_seeds": 2,
        "rule": "valid",
        "runs": 2,
        "configurations": {"erm on toy": 1},
    }
    sweep = {"name": "s", "spec": {"dataset": [toy], "method": [{"name": "erm"}]}, "budget": budget, "jobs": jobs}
    candidate = {"config": "c", "key": "k", "score": 1.0, "reason": "", "draw": 0, "runs": ["a1"]}
    chosen = common | {
        "rule": "valid", "config": "c", "key": "k", "protocol": "regression", "metric": "mae", "score": 1.0, "seeds": [0],
        "runs": ["a1"], "candidates": [candidate],
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(sweep))
    choice = {"rule": "valid", "note": "", "budget": budget, "chosen": [chosen]}
    for name in ("selection.json", "screening.json"):
        (folder / name).write_text(json.dumps(choice))
    (folder / "runs").mkdir()
    fabricate(folder / "runs" / "a1")
    (folder / "runs" / "b2").mkdir()
    (folder / "runs" / "b2" / "error.json").write_text(json.dumps({"message": "no", "may_pass": False}))
    (folder / "runs" / "a1" / "evaluated.json").write_text(json.dumps({"scenarios": "default"}))


def _read_sweep(folder: Path) -> None:
    from deconfound.sweeps.jobs import is_evaluated
    from deconfound.sweeps.plan import read_plan
    from deconfound.sweeps.progress import status_text, sweep_status

    status_text(sweep_status(folder))
    is_evaluated(folder / "runs" / "a1", None)
    read_plan(folder)


def _read_selected(folder: Path) -> None:
    from deconfound.results.collect_runs import collect_runs

    collect_runs([folder])


def _tuning() -> Any:
    import tomllib

    from deconfound.tuning.spec import TuneSpec

    return TuneSpec.of(tomllib.loads(TUNE))


def _make_journal(folder: Path) -> None:
    from deconfound.sweeps.jobs import JobResult
    from deconfound.tuning.study import Studies

    studies = Studies(_tuning(), folder)
    with studies.next_trial() as trial:
        assert trial is not None
        trial.trial.report(0.5, 1)
        studies.record(trial, JobResult(trial.id, "done", 0.5), {"0": 0.5, "1": 0.5})


def _read_journal(folder: Path) -> None:
    from deconfound.tuning.result import summarize
    from deconfound.tuning.study import Studies
    from support.small import tiny

    studies = Studies(_tuning(), folder)
    summarize(studies, tiny())


def _read_rows(folder: Path) -> None:
    from deconfound.data.task import Modality
    from deconfound.datasets.repair import Repair
    from deconfound.prediction.conform import conform
    from deconfound.prediction.rows import read_jsonl

    modalities = {"text": Modality("text", 3, (2,)), "audio": Modality("audio", 1, (4,))}
    for ids, signals in read_jsonl(
        folder / "rows.jsonl", modalities, repairs={"text": Repair("feature", 2, (), (0.0, 0.0))}
    ):
        conform(signals, modalities, ids)


JSON_ROWS = "".join(
    json.dumps({"id": f"r{i}", "text": [[i, 0.5]] * (1 + i % 3), "audio": [0, 1, 2, 3.5]}) + "\n" for i in range(4)
)


def _spec(module: str, name: str, file: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        import importlib

        return getattr(importlib.import_module(module), name).read(folder / file)

    return read


def _read_scenarios(folder: Path) -> None:
    from deconfound.evaluation.scenario import read_scenarios

    for scenario in read_scenarios(folder / "a.toml"):
        _ = scenario.name


def _read_counts(folder: Path) -> None:
    from deconfound.causal.counts import read_counts
    from deconfound.causal.graph import Graph

    read_counts(folder / "a.csv", Graph.read(folder / "a.toml"), "s")


def _make_cost(folder: Path) -> None:
    from dataclasses import asdict, fields

    from deconfound.training.cost import FILE, Cost

    values = {field.name: "cpu" if field.name == "device" else 1 for field in fields(Cost)}
    (folder / FILE).write_text(json.dumps(asdict(Cost(**values))))  # type: ignore[arg-type]


def _read_cost(folder: Path) -> None:
    from deconfound.training.cost import read_cost

    read_cost(folder)


def _read_members(folder: Path) -> None:
    from deconfound.runs.members import read_members

    read_members(folder)


def _make_claim(folder: Path) -> None:
    spec = _tuning()
    (folder / "tune.json").write_text(json.dumps({"spec": json.loads(spec.model_dump_json()), "data": "c"}))


def _read_claim(folder: Path) -> None:
    from deconfound.tuning.tune import claim_tuning

    claim_tuning(folder, _tuning(), "c")


_TOML, _JSON, _LINES = mutating.mutate_toml, mutating.mutate_json, mutating.mutate_lines
_RUN = {f"run/{name}.json": _JSON for name in ("spec", "environment", "done")}

READERS: dict[str, Reader] = {
    "table toml": Reader(_table("csv"), _read_table, {"corpus.toml": _TOML}, 8),
    "table csv": Reader(_table("csv"), _read_table, {"rows.csv": mutating.mutate_csv}, 8),
    "table jsonl": Reader(_table("jsonl"), _read_table, {"rows.jsonl": _LINES}, 8),
    "table parquet": Reader(_table("parquet"), _read_table, {"rows.parquet": mutating.mutate_parquet}, 8),
    "table npy": Reader(_table("csv"), _read_table, {"audio.npy": mutating.mutate_npy}, 8),
    "table npz": Reader(_table("csv"), _read_table, {"text.npz": mutating.mutate_npz}, 8),
    "predict's table": Reader(
        _table("csv"),
        _read_inputs,
        {"corpus.toml": _TOML, "audio.npy": mutating.mutate_npy, "text.npz": mutating.mutate_npz},
        5,
    ),
    "predict's json lines": Reader(_write(rows_jsonl=JSON_ROWS), _read_rows, {"rows.jsonl": _LINES}),
    "mmsa pickle": Reader(_make_mmsa, _read_mmsa, {"a.pkl": mutating.mutate_pickle}, 8),
    "store": Reader(
        _make_store,
        _read_store,
        {"store/dataset.json": _JSON, "store/data.safetensors": mutating.mutate_safetensors},
        4,
    ),
    "specification": Reader(_write(a_toml=SPEC), _spec("deconfound.runs.spec", "Spec", "a.toml"), {"a.toml": _TOML}),
    "sweep": Reader(_write(a_toml=SWEEP), _spec("deconfound.sweeps.spec", "SweepSpec", "a.toml"), {"a.toml": _TOML}),
    "tuning": Reader(_write(a_toml=TUNE), _spec("deconfound.tuning.spec", "TuneSpec", "a.toml"), {"a.toml": _TOML}, 2),
    "scenarios": Reader(_write(a_toml=SCENARIOS), _read_scenarios, {"a.toml": _TOML}),
    "graph": Reader(_write(a_toml=GRAPH), _spec("deconfound.causal.graph", "Graph", "a.toml"), {"a.toml": _TOML}),
    "causal table": Reader(_write(a_toml=GRAPH, a_csv=CAUSAL), _read_counts, {"a.csv": mutating.mutate_csv}),
    "run": Reader(_make_run, _open_run, _RUN),
    "results of a run": Reader(_make_run, _read_run, {**_RUN, "run/test_access.jsonl": _LINES}, 12),
    "records": Reader(_make_run, _read_records, {"run/records.jsonl": _LINES}, 12),
    "log": Reader(_make_run, _read_log, {"run/log.csv": mutating.mutate_csv}),
    "predictions": Reader(_make_predictions, _read_predictions, {"a.npz": mutating.mutate_npz}, 2),
    "checkpoint": Reader(_make_checkpoint, _read_checkpoint, {"a.safetensors": mutating.mutate_safetensors}),
    "sweep folder": Reader(
        _make_sweep,
        _read_sweep,
        {
            "sweep.json": _JSON,
            "selection.json": _JSON,
            "screening.json": _JSON,
            "runs/b2/error.json": _JSON,
            "runs/a1/evaluated.json": _JSON,
            "runs/a1/done.json": _JSON,
        },
        2,
    ),
    "selection in a report": Reader(_make_sweep, _read_selected, {"selection.json": _JSON}, 12),
    "journal": Reader(_make_journal, _read_journal, {"journal.log": _LINES}, 30),
    "tuning folder": Reader(_make_claim, _read_claim, {"tune.json": _JSON}),
    "ensemble": Reader(_write(ensemble_json=ENSEMBLE), _read_members, {"ensemble.json": _JSON}),
    "costs": Reader(_make_cost, _read_cost, {"cost.json": _JSON}),
}
"""Name → reader. A new reader of files is entered here."""
