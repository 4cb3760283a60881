"""The findings about known factors of synthetic data."""

from __future__ import annotations

from collections.abc import Sequence

from deconfound.diagnostics.result import Diagnosis, Finding


def number_text(value: float | None) -> str:
    """Two decimals, or "undefined"."""
    return "undefined" if value is None else f"{value:.2f}"


def recovery(found: Diagnosis) -> Finding:
    """R² of the factors from every part, beside what the factors tell of each other."""
    key, question = "recovery", "What do the parts hold of the known factors?"
    sources = list(dict.fromkeys(each.source for each in found.recovery))
    lines = []
    for source in sorted(sources, key=lambda name: name not in found.widths):
        for factor in sorted({each.factor for each in found.recovery}):
            known = [each for each in found.recovery if (each.source, each.factor) == (source, factor)]
            value = mean([_best(each.linear, each.kernel) for each in known])
            if known and value is not None:
                who = {"predictive": "Z_inv" if found.splits_features else "the representation", "spurious": "Z_spu"}
                lines.append(f"{factor} from {who.get(source, f'the true {source}')} {value:.2f}")
    if not lines:
        return Finding(key, question, "cannot tell", "There are fewer than 20 rows, or the factors are constant.")
    return Finding(
        key,
        question,
        "",
        f"Held-out R², better of linear and kernel probe, mean over modalities: {', '.join(lines)}. What the true "
        "factors tell of each other comes through the label: a pure part would show it too.",
    )


def dimensions(found: Diagnosis) -> Finding:
    """MCC and DCI."""
    key, question = "dimensions", "Do single dimensions stand for single known factors?"
    names = {"predictive": "Z_inv" if found.splits_features else "the representation", "spurious": "Z_spu"}
    lines = []
    for part, factor in sorted({(each.part, each.factor) for each in found.mcc}):
        known = [e.found for e in found.mcc if (e.part, e.factor) == (part, factor) and e.found]
        if known:
            mcc, chance = mean([each.mcc for each in known]), mean([each.chance for each in known])
            lines.append(f"{names[part]} and {factor} {number_text(mcc)} (shuffled {number_text(chance)})")
    dci = [each.found for each in found.dci if each.found]
    if not lines or not dci:
        return Finding(key, question, "cannot tell", "There are fewer than 20 rows, or the factors are constant.")
    scores = {
        "disentanglement": mean([each.disentanglement for each in dci]),
        "completeness": mean([each.completeness for each in dci]),
        "informativeness": mean([each.informativeness for each in dci]),
    }
    told = ", ".join(f"{name} {number_text(value)}" for name, value in scores.items())
    text = f"MCC: {', '.join(lines)}. All dimensions about all factors: {told} (1 is best). Means over modalities."
    return Finding(key, question, "", text)


def _best(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)


def mean(values: Sequence[float | None]) -> float | None:
    """Of the defined values; None if there is none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
