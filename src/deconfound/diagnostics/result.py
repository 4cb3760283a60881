"""A diagnosis as data: numbers with their intervals, and sentences that claim no more than the numbers show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from deconfound.diagnostics.dependence import Dependence
from deconfound.diagnostics.invariance import Risks, Shift
from deconfound.diagnostics.leakage import Leakage
from deconfound.diagnostics.matching import Dci, MatchingScore
from deconfound.diagnostics.swap import Swap

VERSION = 1
"""Version of the JSON form; it changes when the keys change."""
Answer = Literal["yes", "no", "cannot tell", ""]


@dataclass(frozen=True)
class Probe:
    """A cross-validated probe of a part.

    Args:
        asks: what the probe predicts, "label" or "environment".
        part: "predictive" or "spurious".
        modality: whose part, or "all" for all side by side.
        kind: "linear" or "kernel".
        metric: "r2" or "balanced accuracy".
        score: on rows held out; None, like the interval, where `why` says the reason.
        low, high: 95 % bootstrap interval over rows, or over groups if `grouped`.
        chance: score of a constant.
        rows: number of rows used.
        grouped: rows that belong together were held out together.
    """

    asks: str
    part: str
    modality: str
    kind: str
    metric: str
    score: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    rows: int = 0
    grouped: bool = False
    why: str = ""


@dataclass(frozen=True)
class RoleSwap:
    """Label from the predictive parts against label from the spurious ones, all modalities, on the same resampled rows.

    Args:
        difference: predictive − spurious; its 95 % bootstrap interval is low … high.
    """

    kind: str
    metric: str
    predictive: float
    spurious: float
    difference: float
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True)
class PartLeakage:
    """A leakage test of a part; `found` is None where `why` says the reason."""

    part: str
    modality: str
    kind: str
    found: Leakage | None
    why: str = ""


@dataclass(frozen=True)
class PartShift:
    """Invariance of a part; `found` is None where `why` says the reason."""

    part: str
    modality: str
    found: Shift | None
    why: str = ""


@dataclass(frozen=True)
class PartDependence:
    """Dependence of the two parts of a modality; `found` is None for fewer than 20 rows."""

    modality: str
    found: Dependence | None


@dataclass(frozen=True)
class FactorRecovery:
    """R² of a block of known factors of a modality.

    Args:
        source: "predictive", "spurious", or the name of another factor: what that factor by itself would tell.
        factor: such as "C".
        modality: of both.
    """

    source: str
    factor: str
    modality: str
    linear: float | None
    kernel: float | None
    rows: int


@dataclass(frozen=True)
class PartMatching:
    """MCC of one part's dimensions with one block of known factors."""

    part: str
    factor: str
    modality: str
    found: MatchingScore | None


@dataclass(frozen=True)
class ModalityDci:
    """DCI of all dimensions of a modality, of both parts, about all its known factors."""

    modality: str
    found: Dci | None


@dataclass(frozen=True)
class Picture:
    """First two principal components of a part, all modalities, standardised.

    Args:
        x, y: of up to 400 rows; label and environment of the same rows.
        explained: share of variance of each of the two, in [0, 1].
    """

    part: str
    x: list[float]
    y: list[float]
    label: list[float] | list[str]
    environment: list[str]
    explained: tuple[float, float]


@dataclass(frozen=True)
class Finding:
    """One sentence of the verdict.

    Args:
        key: stable, such as "role-swap".
        question: what was asked.
        answer: "yes" and "no" only where an interval or test says so; "" where the question has no such answer.
        text: the numbers, the threshold and what they do not show.
        alarm: True where a reader should not rely on the split into parts.
    """

    key: str
    question: str
    answer: Answer
    text: str
    alarm: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was measured about one run on one split; JSON values only.

    Args:
        run, method, dataset, split: names.
        best_epoch, best_risk: of the weights that were diagnosed, as the run's done.json has them.
        rows: of the split.
        splits_features: whether the method has a spurious part at all.
        environments: name → rows. groups: columns of rows that belong together.
        widths: part → modality → D.
        present: modality → rows that have it.
        thresholds: what the verdict calls shown.
    """

    run: str
    method: str
    dataset: str
    split: str
    task: str
    best_epoch: int
    best_risk: float
    rows: int
    splits_features: bool
    environments: dict[str, int]
    groups: list[str]
    widths: dict[str, dict[str, int]]
    present: dict[str, int]
    probes: list[Probe]
    role_swap: list[RoleSwap]
    leakage: list[PartLeakage]
    dependence: list[PartDependence]
    shifts: list[PartShift]
    risks: Risks
    swap: Swap | None
    recovery: list[FactorRecovery]
    mcc: list[PartMatching]
    dci: list[ModalityDci]
    pictures: list[Picture]
    verdict: list[Finding] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    permutations: int = 0
    resamples: int = 0
    seed: int = 0
    version: int = VERSION

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
