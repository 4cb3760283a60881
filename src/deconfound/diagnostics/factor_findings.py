"""The findings about known factors of synthetic data."""

from __future__ import annotations

from collections.abc import Sequence

from deconfound.diagnostics.result import Diagnosis, Finding


def number_text(value: float | None) -> str:
    """Two decimals, or "undefined"."""
    return "undefined" if value is None else f"{value:.2f}"


def recovery(diagnosis: Diagnosis) -> Finding:
    """R² of the factors from every part, beside the R² of the factors from each other."""
    key, question = "recovery", "What do the parts hold of the known factors?"
    sources = list(dict.fromkeys(score.source for score in diagnosis.recovery))
    lines = []
    for source in sorted(sources, key=lambda name: name not in diagnosis.widths):
        for factor in sorted({score.factor for score in diagnosis.recovery}):
            known = [score for score in diagnosis.recovery if (score.source, score.factor) == (source, factor)]
            value = mean([_best(score.linear, score.kernel) for score in known])
            if known and value is not None:
                who = {
                    "predictive": "Z_inv" if diagnosis.splits_features else "the representation",
                    "spurious": "Z_spu",
                }
                lines.append(f"{factor} from {who.get(source, f'the true {source}')} {value:.2f}")
    if not lines:
        return Finding(key, question, "cannot tell", "There are fewer than 20 rows, or the factors are constant.")
    return Finding(
        key,
        question,
        "",
        f"Held-out R², better of linear and kernel probe, mean over modalities: {', '.join(lines)}. The true "
        "factors predict each other through the label, so a pure part would show this too.",
    )


def dimensions(diagnosis: Diagnosis) -> Finding:
    """MCC and DCI."""
    key, question = "dimensions", "Do single dimensions stand for single known factors?"
    names = {"predictive": "Z_inv" if diagnosis.splits_features else "the representation", "spurious": "Z_spu"}
    lines = []
    for part, factor in sorted({(score.part, score.factor) for score in diagnosis.mcc}):
        known = [
            matching.found
            for matching in diagnosis.mcc
            if (matching.part, matching.factor) == (part, factor) and matching.found
        ]
        if known:
            mcc, chance = mean([score.mcc for score in known]), mean([score.chance for score in known])
            lines.append(f"{names[part]} and {factor} {number_text(mcc)} (shuffled {number_text(chance)})")
    dci = [score.found for score in diagnosis.dci if score.found]
    if not lines or not dci:
        return Finding(key, question, "cannot tell", "There are fewer than 20 rows, or the factors are constant.")
    scores = {
        "disentanglement": mean([score.disentanglement for score in dci]),
        "completeness": mean([score.completeness for score in dci]),
        "informativeness": mean([score.informativeness for score in dci]),
    }
    summary = ", ".join(f"{name} {number_text(value)}" for name, value in scores.items())
    text = f"MCC: {', '.join(lines)}. All dimensions about all factors: {summary} (1 is best). Means over modalities."
    return Finding(key, question, "", text)


def _best(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the defined values; None if there is none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
