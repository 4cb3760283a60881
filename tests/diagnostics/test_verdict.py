"""The verdict claims what the numbers say and nothing where they hold no answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deconfound.diagnostics.dependence import Dependence
from deconfound.diagnostics.invariance import EnvironmentRisk, Risks, Shift
from deconfound.diagnostics.leakage import Leakage
from deconfound.diagnostics.matching import Dci, MatchingScore
from deconfound.diagnostics.result import (
    Diagnosis,
    FactorRecovery,
    Finding,
    ModalityDci,
    PartDependence,
    PartLeakage,
    PartMatching,
    PartShift,
    Probe,
    RoleSwap,
)
from deconfound.diagnostics.swap import DecodedChange, Swap
from deconfound.diagnostics.verdict import verdict

PARTS = ("predictive", "spurious")


def diagnosis(**changes: object) -> Diagnosis:
    """A split method on two environments, with a clean result everywhere."""
    probe = [
        Probe(asks, part, "all", kind, "r2" if asks == "label" else "balanced accuracy", 0.6, 0.5, 0.7, 0.0, 200)
        for asks in ("label", "environment")
        for part in PARTS
        for kind in ("linear", "kernel")
    ]
    leak = Leakage(0.5, 0.45, 0.55, 0.5, 0.4, 200, 2, 3, "rows")
    base = Diagnosis(
        run="r",
        method="m",
        dataset="d",
        split="valid",
        task="regression",
        best_epoch=1,
        best_risk=0.5,
        rows=200,
        splits_features=True,
        environments={"e=1": 100, "e=2": 100},
        groups=[],
        widths={part: {"a": 2} for part in PARTS},
        present={"a": 200},
        probes=probe,
        role_swap=[RoleSwap("linear", "r2", 0.6, 0.2, 0.4, 0.3, 0.5, 200)],
        leakage=[PartLeakage(part, "all", kind, leak) for part in PARTS for kind in ("linear", "kernel")],
        dependence=[PartDependence("a", Dependence(0.0, 0.01, 0.6, 0.5, 0.0, 0.6, 200))],
        shifts=[PartShift(part, "all", Shift(0.05, 0.3, 200, 2, 3, "rows")) for part in PARTS],
        risks=Risks(
            [EnvironmentRisk("e=1", 0.5, 0.4, 0.6, 100), EnvironmentRisk("e=2", 0.6, 0.5, 0.7, 100)], 0.1, 0.2, "e=2", 0
        ),
        swap=Swap(0.0, True, 1e-7, [DecodedChange("a", "other", 0.7, 0.7, 1.0, 100)]),
        recovery=[],
        mcc=[],
        dci=[],
        pictures=[],
        permutations=199,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def finding(key: str, **changes: object) -> Finding:
    return next(each for each in verdict(diagnosis(**changes)) if each.key == key)


def test_a_clean_result_alarms_nobody_and_claims_no_absence() -> None:
    found = {each.key: each for each in verdict(diagnosis())}
    assert not any(each.alarm for each in found.values())
    answers = {key: each.answer for key, each in found.items()}
    assert answers == {
        "label-from-predictive": "yes",
        "label-from-spurious": "yes",
        "role-swap": "no",
        "environment-from-predictive": "cannot tell",
        "environment-from-spurious": "cannot tell",
        "shift-of-predictive": "cannot tell",
        "shift-of-spurious": "cannot tell",
        "risk": "cannot tell",
        "dependence": "cannot tell",
        "swap": "no",
        "decoded": "yes",
        "limits": "",
    }
    assert "by construction" in found["swap"].text


@pytest.mark.parametrize(
    ("low", "high", "answer", "alarm"),
    [
        (0.1, 0.3, "no", False),
        (-0.1, 0.3, "cannot tell", True),
        (-0.3, -0.1, "yes", True),
        (None, None, "cannot tell", False),
    ],
)
def test_roles(low: float | None, high: float | None, answer: str, alarm: bool) -> None:
    roles = [RoleSwap("linear", "r2", 0.6, 0.5, 0.1, low, high, 200)]
    found = finding("role-swap", role_swap=roles)
    assert (found.answer, found.alarm) == (answer, alarm)


def test_a_leak_needs_a_p_that_survives_the_correction() -> None:
    def leaks(*p: float) -> list[PartLeakage]:
        return [
            PartLeakage(part, "all", kind, Leakage(0.7, 0.6, 0.8, 0.5, value, 200, 2, 3, "rows"))
            for part in PARTS
            for kind, value in zip(("linear", "kernel"), p, strict=True)
        ]

    assert finding("environment-from-predictive", leakage=leaks(0.03, 0.5)).answer == "cannot tell"
    shown = finding("environment-from-predictive", leakage=leaks(0.02, 0.5))
    assert (shown.answer, shown.alarm) == ("yes", True)
    assert "0.70 [0.60, 0.80] against 0.50" in shown.text
    assert "p = 0.040" in shown.text
    assert not finding("environment-from-spurious", leakage=leaks(0.02, 0.5)).alarm


def test_a_small_shift_is_called_small() -> None:
    def shifts(size: float) -> list[PartShift]:
        return [PartShift(part, "all", Shift(size, 0.005, 200, 2, 3, "rows")) for part in PARTS]

    small, large = (finding("shift-of-predictive", shifts=shifts(size)) for size in (0.05, 0.4))
    assert (small.answer, small.alarm) == ("yes", False)
    assert "small" in small.text
    assert (large.answer, large.alarm) == ("yes", True)


@pytest.mark.parametrize(
    ("environments", "words"), [({}, "declare no environment"), ({"e=1": 200}, "of one environment")]
)
def test_without_several_environments_it_cannot_tell(environments: dict[str, int], words: str) -> None:
    for key in ("environment-from-predictive", "shift-of-predictive", "risk"):
        found = finding(key, environments=environments)
        assert found.answer == "cannot tell"
        assert words in found.text
    assert "tell causes from correlates" in finding("limits", environments=environments).text


def test_an_interval_at_chance_is_no_answer() -> None:
    probes = [Probe("label", part, "all", "linear", "r2", 0.02, -0.01, 0.05, 0.0, 200) for part in PARTS]
    assert finding("label-from-predictive", probes=probes).answer == "cannot tell"
    none = [Probe("label", part, "all", "linear", "r2", why="too few rows (3; 20 are needed)") for part in PARTS]
    found = finding("label-from-predictive", probes=none, role_swap=[])
    assert (found.answer, "too few rows" in found.text) == ("cannot tell", True)
    assert finding("role-swap", probes=none, role_swap=[]).answer == "cannot tell"


def test_dependence_is_corrected_over_modalities_and_few_permutations_are_named() -> None:
    def parts(*p: float) -> list[PartDependence]:
        return [PartDependence(f"m{i}", Dependence(0.1, 0.5, value, 0.1, 0.5, value, 200)) for i, value in enumerate(p)]

    assert finding("dependence", dependence=parts(0.03, 0.5)).answer == "cannot tell"
    assert "In m0 they do" in finding("dependence", dependence=parts(0.005, 0.5)).text
    assert "In every modality they do" in finding("dependence", dependence=parts(0.005, 0.005)).text
    coarse = finding("dependence", dependence=parts(0.05, 0.05), permutations=19)
    assert "19 permutations and 2 tests cannot give less than p = 0.100" in coarse.text


def test_a_decoder_that_ignores_a_part_and_a_head_that_reads_both() -> None:
    dead = Swap(None, False, 0.5, [DecodedChange("a", "other", 0.99, 0.05, 1.0, 100)])
    assert finding("swap", swap=dead).answer == "cannot tell"
    found = finding("decoded", swap=dead)
    assert (found.answer, "a: Z_spu" in found.text) == ("no", True)
    assert finding("decoded", swap=Swap(0.0, True, 0.0, [])).answer == "cannot tell"


def test_known_factors_are_told_with_what_they_tell_of_each_other() -> None:
    rows = [
        ("predictive", "C", 0.9, 0.8),
        ("predictive", "S", 0.1, 0.3),
        ("spurious", "C", None, None),
        ("C", "S", 0.2, 0.1),
    ]
    recovery = [FactorRecovery(source, factor, "a", *r2, 100) for source, factor, *r2 in rows]
    text = finding("recovery", recovery=recovery).text
    assert "C from Z_inv 0.90, S from Z_inv 0.30, S from the true C 0.20" in text


def test_a_method_that_does_not_split_is_not_asked_about_parts() -> None:
    found = verdict(diagnosis(splits_features=False, widths={"predictive": {"a": 2}}, swap=None, dependence=[]))
    assert {each.key for each in found} == {
        "label-from-predictive",
        "environment-from-predictive",
        "shift-of-predictive",
        "risk",
        "limits",
    }
    assert not any("Z_inv" in each.text or each.alarm for each in found)


def test_matchings_are_told_beside_their_chance() -> None:
    mcc = [
        PartMatching("predictive", "C", m, MatchingScore(value, 0.1, [(0, 0)], 100))
        for m, value in (("a", 0.5), ("b", 0.7))
    ]
    dci = [ModalityDci("a", Dci(0.4, None, 0.9, 100))]
    recovery = [FactorRecovery("predictive", "C", "a", 0.9, 0.8, 100)]
    text = finding("dimensions", recovery=recovery, mcc=mcc, dci=dci).text
    assert "Z_inv and C 0.60 (shuffled 0.10)" in text
    assert "disentanglement 0.40, completeness undefined, informativeness 0.90" in text
    none = [PartMatching("predictive", "C", "a", None)]
    assert finding("dimensions", recovery=recovery, mcc=none).answer == "cannot tell"
