"""The registry of published numbers: complete, in our units, each with its source, and beside ours only where it may be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deconfound.cli import references as cli_references
from deconfound.errors import SpecError
from deconfound.protocol import get_protocol
from deconfound.references import Reference, comparable, inputs_of, published, select_references
from deconfound.references.published import FOREIGN, blocks, corpora, read_number, shown
from support.small import small_data, tiny

MOSI = {"train": 1284, "valid": 229, "test": 686}
OURS = {"train": 1444, "valid": 269, "test": 482}
MMSA = {"text": 768, "audio": 5, "vision": 20}


def one(source: str, method: str, metric: str, dataset: str, **more: str) -> Reference:
    matches = [
        r
        for r in published()
        if (r.source, r.method, r.metric, r.dataset) == (source, method, metric, dataset)
        and all(getattr(r, name) == value for name, value in more.items())
    ]
    assert len(matches) == 1, matches
    return matches[0]


def test_every_table_is_whole():
    """Numbers per source and dataset: rows × columns of the table they were taken from, "-" left out."""
    counts = Counter((r.source, r.dataset) for r in published() if r.printed)
    assert counts["mmsa-results", "mosi"] == counts["mmsa-results", "mosei"] == 11 * 8
    assert counts["mmsa-results", "ch-sims"] == counts["mmsa-results", "ch-sims-v2"] == 13 * 6
    assert (counts["infogate", "mosi"], counts["infogate", "mosei"]) == (15 * 5, 14 * 5)
    assert counts["infogate", "ch-sims-v2"] == 12 * 6
    assert counts["ch-sims-v2-paper", "ch-sims-v2"] == 14 * 6
    assert counts["c-mib-paper", "mosei"] == 15 * 5
    assert counts["c-mib-paper", "mosi"] == 15 * 5 + 9 * 2
    assert [counts["mkvp-readme", d] for d in ("mvsa-single", "mvsa-multiple", "twitter-sarcasm")] == [26, 24, 18]
    assert counts["balancebenchmark", "food101"] == 2 + 4 * 2 + 13
    assert counts["balancebenchmark", "mosei"] == 4 * 2 + 13
    assert counts["multibench", "ur-funny"] == 7 + 2
    assert counts["cmir-paper", "mosi"] == 16 * 5 - 10 + 7 * 2 * 4 * 2  # ten cells of the first table are empty
    assert sum(counts.values()) == 1535
    assert sum(not r.printed for r in published()) == 4 + 2


@pytest.mark.parametrize(
    ("source", "method", "metric", "dataset", "printed", "value"),
    [
        ("mmsa-results", "Self-MM", "mae", "mosi", "70.80", 0.7080),
        ("mmsa-results", "TETFN", "acc-2-non0", "mosei", "86.21", 0.8621),
        ("mmsa-results", "EF-LSTM", "corr", "ch-sims", "5.45", 0.0545),
        ("infogate", "CaMIB", "mae", "mosi", ".616", 0.616),
        ("infogate", "ITHP", "acc-2", "mosei", "87.1", 0.871),
        ("c-mib-paper", "QMF (quantum-inspired, 2021)", "mae", "mosi", ".915", 0.915),
        ("c-mib-paper", "EF-LSTM", "mae", "mosi", "1.053", 1.053),
        ("ch-sims-v2-paper", "LF_DNN", "r2", "ch-sims-v2", "20.84", 0.2084),
        ("ch-sims-v2-paper", "AV-MC semi", "mae", "ch-sims-v2", ".286", 0.286),
        ("mkvp-readme", "CLMLF", "binary-f1", "twitter-sarcasm", "78.74", 0.7874),
        ("mkvp-readme", "MKVP", "weighted-f1", "mvsa-single", "76.69", 0.7669),
        ("dlf-repo", "DLF", "mae", "mosi", "73.08", 0.7308),
        ("mmml-readme", "MMML with context", "mae", "mosi", ".5573", 0.5573),
        ("balancebenchmark", "AMCo", "accuracy", "mosei", "79.51", 0.7951),
        ("balancebenchmark", "joint baseline", "f1", "food101", "91.60", 0.916),
        ("hkt-readme", "HKT", "accuracy", "mustard", "79.41", 0.7941),
        ("serin-note", "SeRIn", "mae", "ch-sims", ".357", 0.357),
        ("clara", "CLARA", "accuracy", "mvsa-single", "83.16", 0.8316),
    ],
)
def test_numbers_are_those_of_the_sources_in_our_units(source, method, metric, dataset, printed, value):
    reference = one(source, method, metric, dataset)
    assert reference.printed in (printed, "0" + printed)
    assert reference.value == pytest.approx(value, abs=1e-12)
    assert reference.low == reference.high == reference.value


def test_every_number_is_in_the_range_of_its_metric_and_has_a_source():
    for r in published():
        assert r.citation
        assert r.dataset in corpora()
        if not r.metric:
            assert (r.printed, r.value) == ("", None)
            assert "not available" in r.note or "states" in r.note or "gives" in r.note
            continue
        assert r.metric in get_protocol(r.protocol).metrics or r.metric in FOREIGN
        for value in (r.value, r.low, r.high):
            highest = 4.0 if "noise" in r.condition else 1.4
            assert value is None or (0.2 < value < highest if r.metric == "mae" else 0 < value < 1), r
        assert r.low is None or r.high is None or r.low <= r.high


def test_conditions_ranges_and_deviations_are_told_apart():
    noisy = one("qmf-paper", "QMF (quality-aware, 2023)", "accuracy", "mvsa-single")
    assert (noisy.value, noisy.deviation, noisy.condition) == (0.7385, 0.0142, "Gaussian noise, strength 5")
    spread = one("c-mfn-rerun", "C-MFN", "accuracy", "ur-funny")
    assert (spread.value, spread.low, spread.high, spread.printed) == (None, 0.65, 0.667, "65.0-66.7")
    clean, noise = (
        one("multibench", "MCTN", "acc-2-non0", "mosi", condition=f"multimodal noise {level}") for level in ("0", "0.9")
    )
    assert (clean.value, noise.value) == (0.779, 0.443)


def test_the_numbers_of_the_cmir_paper_by_corpus_and_condition():
    def printed(dataset, metric, condition=""):
        return one("cmir-paper", "CmIR", metric, dataset, condition=condition).value

    assert [printed("mosi", m) for m in ("acc-7", "acc-2-non0", "mae", "corr")] == [0.498, 0.896, 0.616, 0.853]
    assert [printed("mosei", m) for m in ("acc-7", "acc-2-non0", "mae", "corr")] == [0.551, 0.878, 0.513, 0.793]
    assert [printed("mosi-ood", m) for m in ("acc-7", "acc-2-has0", "acc-2-non0")] == [0.485, 0.830, 0.844]
    assert [printed("ch-sims-v2", m) for m in ("acc-5", "acc-2", "mae")] == [0.560, 0.819, 0.286]
    assert [printed(d, "accuracy") for d in ("ur-funny", "mustard")] == [0.7646, 0.8]
    assert printed("mosi-ood", "acc-2-non0", "α(1) = 1e-8, K = 4") == 0.797
    noise = "Gaussian noise, rate 0.7 of the pooled features of all modalities, in training and test"
    assert (printed("mosi", "acc-2-non0", noise), printed("mosi", "mae", noise)) == (0.861, 0.740)


def test_namesakes_and_reruns_stay_apart():
    names = {r.method for r in published() if "QMF" in r.method}
    assert all("quality-aware" in name or "quantum-inspired" in name for name in names)
    misa = {r.source: r.value for r in select_references(dataset="mosi", method="misa") if r.metric == "mae"}
    assert misa == {"mmsa-results": 0.7765, "c-mib-paper": 0.783, "ebmc-note": 0.783}
    backbones = {
        r.backbone: r.value for r in select_references(dataset="mosi", method="self-mm") if r.source == "ithp-notes"
    }
    assert backbones == {"BERT": 0.84, "DeBERTa": 0.551}
    assert len({r.key for r in published()}) == len(published())
    for block in blocks(published()):
        assert len({(r.method, r.metric) for r in block}) == len(block)
        assert len({(r.protocol, r.dataset, r.condition) for r in block}) == 1


def test_what_is_not_available_says_so():
    absent = {(r.method, r.dataset) for r in published() if not r.metric}
    assert {("IMML", d) for d in ("mvsa-single", "mvsa-multiple", "twitter-sarcasm", "food101")} <= absent
    assert not any(method == "CmIR" for method, _ in absent)
    assert {("AtCAF", "mosi-ood"), ("CaMIB", "mosi-ood")} <= absent
    none = next(r for r in published() if r.method == "IMML" and not r.metric)
    allowed, reason = comparable(none, none.dataset, "mmsa-regression", MOSI, MMSA)
    assert not allowed
    assert "no public repository, README or note states IMML's numbers" in reason


def test_names_of_corpora():
    assert select_references(dataset="CMU-MOSI") == select_references(dataset="mosi")
    assert {r.dataset for r in select_references(dataset="hfm")} == {"twitter-sarcasm"}
    assert {r.dataset for r in select_references(dataset="SIMS")} == {"ch-sims"}
    with pytest.raises(SpecError, match="HFM is Twitter sarcasm, not Hateful Memes"):
        select_references(dataset="hateful-memes")
    with pytest.raises(SpecError, match="did you mean 'mosei'"):
        select_references(dataset="mosseii")
    with pytest.raises(SpecError, match="no protocol 'sim'; did you mean 'sims'"):
        select_references(protocol="sim")
    with pytest.raises(SpecError, match="no reference here is of a method 'MIZA'"):
        select_references(dataset="mosi", method="MIZA")
    assert select_references(protocol="sims", method="self-mm", dataset="ch-sims")[0].value == 0.8004


MISA = ("mmsa-results", "MISA", "mae", "mosi")


def test_a_number_may_stand_beside_ours_only_where_everything_is_the_same():
    assert comparable(one(*MISA), "mosi", "mmsa-regression", MOSI, MMSA) == (True, "")
    assert comparable(one(*MISA), "CMU-MOSI", "mmsa-regression", MOSI, MMSA) == (True, "")
    iid = {"train": 1284, "valid": 229, "test-iid": 686, "test-ood": 50}
    assert comparable(one(*MISA), "mosi", "mmsa-regression", iid, MMSA) == (True, "")


@pytest.mark.parametrize(
    ("dataset", "protocol", "splits", "inputs", "reason"),
    [
        ("mosei", "mmsa-regression", MOSI, MMSA, "it is on mosi, not on mosei"),
        ("mine", "mmsa-regression", MOSI, MMSA, "it is on mosi, not on mine"),
        ("mosi", "mag-nonzero", MOSI, MMSA, "its protocol is mmsa-regression, ours mag-nonzero"),
        ("mosi", "mmsa-regression", {"train": 1284, "test": 686}, MMSA, "have 1284/229/686 rows, ours 1284/none/686"),
        ("mosi", "mmsa-regression", MOSI, {"text": 768, "audio": 5}, "vision 20 features (BERT text"),
    ],
)
def test_each_difference_is_a_reason(dataset, protocol, splits, inputs, reason):
    allowed, told = comparable(one(*MISA), dataset, protocol, splits, inputs)
    assert not allowed
    assert reason in told
    assert "; its" not in told, "one difference, one reason"


def test_our_mosi_file_matches_no_published_number_and_the_reason_names_the_rows():
    inputs = {"text": 64, "audio": 73, "vision": 100}
    for reference in select_references(dataset="mosi"):
        allowed, reason = comparable(reference, "mosi", "mmsa-regression", OURS, inputs)
        assert not allowed
        assert not reference.printed or "1284/229/686 rows, ours 1444/269/482" in reason
    _, reason = comparable(one(*MISA), "mosi", "mmsa-regression", OURS, inputs)
    assert "text 768, audio 5, vision 20" in reason
    assert "ours text 64, audio 73, vision 100" in reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol_stated": False}, "does not state the protocol"),
        ({"condition": "noise"}, "under a condition: noise"),
        ({"value": None, "low": 0.7, "high": 0.8, "printed": "70-80"}, "it is a range, 70-80"),
        ({"metric": "acc-2"}, "without saying whether labels of 0 count"),
        ({"split": {"train": 1284}}, "not all recorded"),
        ({"split": {}}, "not all recorded"),
        ({"widths": {}, "inputs": "", "backbone": "DeBERTa"}, "not recorded (DeBERTa)"),
    ],
)
def test_what_a_source_leaves_open_does_not_match(change, reason):
    allowed, told = comparable(replace(one(*MISA), **change), "mosi", "mmsa-regression", MOSI, MMSA)
    assert not allowed
    assert reason in told


def test_inputs_are_the_features_of_a_step():
    assert inputs_of(tiny()) == {"text": 2, "audio": 4}
    assert set(inputs_of(small_data()).values()) == {10}


@given(st.integers(0, 9999), st.integers(0, 3), st.sampled_from(["percent", "hundredths", "label", "share"]))
def test_reading_and_showing_a_number_loses_nothing(digits, places, unit):
    printed = f"{digits / 10**places:.{places}f}"
    value, low, high, deviation = read_number(printed, unit)
    scale = 100 if unit in ("percent", "hundredths") else 1
    assert value == low == high == pytest.approx(float(printed) / scale)
    assert deviation is None
    text = shown(replace(one(*MISA), printed=printed, unit=unit, value=value, low=low, high=high))
    assert float(text) * scale == pytest.approx(float(printed))
    assert len(text.partition(".")[2]) == places + (2 if scale == 100 else 0)


def test_what_is_no_number_is_refused():
    for printed in ("", "a", "1.2.3", "-5", "5-"):
        with pytest.raises(AssertionError, match=r"published\.toml"):
            read_number(printed, "percent")


def test_the_command_shows_one_table_per_protocol(capsys):
    app = typer.Typer()
    app.command()(cli_references.references)
    done = CliRunner().invoke(app, ["--dataset", "mosi", "--method", "misa"])
    assert done.exit_code == 0, done.output
    tables = [part for part in done.output.split("\n\n") if "MISA" in part]
    assert len(tables) == 3
    assert all(part.count("protocol ") == 1 for part in tables)
    assert "train/valid/test 1284/229/686 rows" in tables[0]
    assert "mag-nonzero;" in done.output
    assert "mmsa-regression? (not stated)" in done.output
    rows = json.loads(CliRunner().invoke(app, ["--dataset", "hfm", "--json"]).output)
    assert {row["dataset"] for row in rows} == {"twitter-sarcasm"}
    assert {row["printed"] for row in rows if row["method"] == "MKVP"} == {"87.26", "86.78"}
    text = CliRunner().invoke(app, ["--dataset", "hfm"]).output
    assert "IMML: not available" in text
    assert "sometimes wrongly expanded as Hateful Memes" in text
    everything = CliRunner().invoke(app, []).output
    assert "0.650–0.667" in everything
    assert "0.7385 ± 0.0142" in everything


def test_importing_it_loads_no_torch():
    script = (
        "import sys, deconfound.cli.references\nfrom deconfound.references import published\npublished()\n"
        "assert not {'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
