"""Small files and short specifications that would need all memory or all time there is."""

from __future__ import annotations

import io
import json
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from deconfound.data.columns import MetadataColumn
from deconfound.datasets.arrays import read_array
from deconfound.datasets.manifest import read_manifest
from deconfound.datasets.synthetic import synthetic
from deconfound.errors import DataError, DeconfoundError, SpecError
from deconfound.evaluation.predictions import load_predictions
from deconfound.io.limits import VARIABLE, check_depth, most_bytes
from deconfound.runs.spec import Spec
from deconfound.sweeps.spec import SweepSpec
from deconfound.tuning.spec import TuneSpec
from support.small import tiny


@pytest.fixture
def address_space():
    """At most two GB more than now, so that a reader without a limit fails here and not on the whole machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 10**9, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def zip_bomb(path: Path, name: str = "values.npy") -> None:
    """An archive of a few MB that unpacks to 6 GB of zeros."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1_500_000_000,)})
    block = bytes(1 << 24)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(358):
            member.write(block)


@pytest.mark.usefixtures("address_space")
@pytest.mark.parametrize("read", [read_array, load_predictions])
def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(
    tmp_path: Path, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0.01")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", bytes(20_000_000))
    with pytest.raises(
        DeconfoundError, match=rf"a\.npz unpacks to 20000000 bytes, the limit is 10000000; .*{VARIABLE}=1"
    ):
        read(tmp_path / "a.npz")


@pytest.mark.slow
@pytest.mark.usefixtures("address_space")
def test_six_gigabytes_in_a_small_archive_are_refused_by_default(tmp_path: Path) -> None:
    zip_bomb(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"unpacks to 60\d+ bytes, the limit is 4000000000"):
        read_array(tmp_path / "a.npz")


def test_an_archive_may_always_unpack_to_a_few_times_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0.001")
    np.savez(tmp_path / "a.npz", values=np.zeros(1_000_000))
    assert read_array(tmp_path / "a.npz").shape == (1_000_000,)


@pytest.mark.usefixtures("address_space")
def test_a_new_column_in_every_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({f"k{row}": 0}) + "\n" for row in range(20_000)))
    with pytest.raises(DataError, match=r"has \d+ rows and \d+ columns in \d+ bytes, more cells than bytes"):
        read_manifest(path)


def test_few_sparse_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": row, f"k{row}": 0}) + "\n" for row in range(100)))
    assert len(read_manifest(path)) == 101


@pytest.mark.usefixtures("address_space")
def test_parquet_of_very_many_rows_is_refused(tmp_path: Path) -> None:
    path, block = tmp_path / "rows.parquet", pa.table({"id": pa.array(np.zeros(10_000_000, np.int64))})
    with pq.ParquetWriter(path, block.schema) as writer:
        for _ in range(10):
            writer.write_table(block)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(DataError, match=r"rows\.parquet unpacks to \d+ bytes, the limit is 4000000000"):
        read_manifest(path)


@pytest.mark.usefixtures("address_space")
def test_a_long_text_that_is_repeated_in_parquet_is_one_object(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": list(range(20_000)), "text": ["x" * 10_000] * 20_000}), path)
    columns = read_manifest(path)
    assert columns["text"][0] is columns["text"][-1]


@pytest.mark.usefixtures("address_space")
def test_one_long_text_among_many_rows_costs_its_own_length() -> None:
    column = MetadataColumn.of(["x" * 10_000, *["a"] * 100_000])
    assert column.distinct.tolist() == ["a", "x" * 10_000]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"metadata": {"id": [f"r{i}" for i in range(11)] + ["x" * 256], "speaker": ["a", "b"] * 6}}, "id"),
        ({"split": [*["train"] * 5, *["valid"] * 3, *["t" * 300] * 4]}, "split"),
        ({"metadata": {"id": list(range(12)), "speaker": ["a"] * 12, "\ud800": ["a"] * 12}}, "column"),
        ({"name": "\ud800"}, "dataset"),
    ],
)
def test_names_that_no_file_can_hold_are_refused(changes: dict[str, object], kind: str) -> None:
    with pytest.raises(DataError, match=f"the {kind} .* is no name; names have at most 255 characters"):
        tiny(**changes)


def test_half_a_character_in_a_column_is_refused() -> None:
    with pytest.raises(DataError, match="holds half a character"):
        MetadataColumn.of(["a", "b\ud800"])


SWEEP = {"dataset": [{"name": "toy", "synthetic": {"rows": 64}}], "method": [{"name": "erm"}]}


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (SweepSpec.of, SWEEP | {"seeds": 10**9}, "seeds = 1000000000: give a number of seeds from 1 to 10000"),
        (SweepSpec.of, SWEEP | {"draws": 10**9}, "draws = 1000000000: .* less than or equal to 100000"),
        (SweepSpec.of, SWEEP | {"draws": 1000, "seeds": 1000}, "make 1000000 runs, the limit is 100000"),
        (SweepSpec.of, SWEEP | {"threads": 10**9}, "give a number from 1 to 1024"),
        (TuneSpec.of, {"method": [{"name": "erm"}], "trials": 10**9}, "trials = 1000000000"),
        (Spec.of, {"method": "erm", "backbone": {"hidden": 10**9}}, "hidden = 1000000000"),
        (Spec.of, {"method": "erm", "train": {"threads": 10**6}}, "threads = 1000000"),
        (Spec.of, {"method": "erm", "train": {"learning_rate": 1e300}}, r"learning_rate = 1e\+300"),
        (lambda values: synthetic(**values), {"rows": 10**9}, "rows = 1000000000"),
        (lambda values: synthetic(**values), {"classes": 10**9, "task": "classification"}, "classes = 1000000000"),
        (lambda values: synthetic(**values), {"rows": 10**7, "steps": 10**5}, "the limit is 1000000000"),
    ],
)
def test_numbers_that_no_machine_can_work_through_are_refused(
    make: Callable[[dict[str, object]], object], values: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make(values)


def test_an_argument_of_a_component_has_a_limit_too() -> None:
    from deconfound.registry import KINDS, arguments, get_class, names

    for kind in ("methods", "penalties", "augmentations", "encoders", "fusions"):
        assert kind in KINDS
        for name in names(kind):
            for argument, field in arguments(get_class(kind, name)).model_fields.items():
                if field.annotation is int:
                    limits = [item for item in field.metadata if hasattr(item, "le") or hasattr(item, "lt")]
                    assert limits, f"{name}: {argument} has no largest value"


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "1e30"])
def test_a_limit_that_is_no_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(SpecError, match=f"{VARIABLE} = .*expected a number of GB above 0"):
        most_bytes()


def test_values_nest_at_most_so_deep() -> None:
    value: object = torch.pi
    for _ in range(64):
        value = {"a": value}
    check_depth(value)
    with pytest.raises(ValueError, match="more than 64 levels"):
        check_depth([value])
