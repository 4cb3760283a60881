"""Sentences that follow from the numbers of a diagnosis, each with its threshold; what was not shown is not claimed."""

from __future__ import annotations

from deconfound.diagnostics.factor_findings import dimensions, number_text, recovery
from deconfound.diagnostics.result import Diagnosis, Finding, PartLeakage, Probe
from deconfound.diagnostics.rows import ALL
from deconfound.statistics.paired import corrected

LEVEL = 0.05
SMALL_SHIFT = 0.1
DEAD_SHARE = 0.1
THRESHOLDS = {"p": LEVEL, "interval": 0.95, "shift": SMALL_SHIFT, "decoded_share": DEAD_SHARE}
"""Name → value: p after Holm's correction for the tests of one question; level of intervals; standard deviations of a
shift below which it is called small; share of the features' movement below which they are said to ignore a part."""
NAMES = {"predictive": "the invariant part (Z_inv)", "spurious": "the spurious part (Z_spu)"}


def verdict(diagnosis: Diagnosis) -> list[Finding]:
    """All findings, the most important first; keys do not depend on the numbers."""
    parts = [*diagnosis.widths]
    findings = [_label(diagnosis, part) for part in parts]
    findings += [_role_swap(diagnosis)] if diagnosis.splits_features else []
    findings += [_leak(diagnosis, part) for part in parts]
    findings += [_shift(diagnosis, part) for part in parts]
    findings.append(_risk(diagnosis))
    if diagnosis.splits_features:
        findings += [_dependence(diagnosis), _swap(diagnosis), _decoded(diagnosis)]
    findings += [recovery(diagnosis), dimensions(diagnosis)] if diagnosis.recovery else []
    return [*findings, _limits(diagnosis)]


def _floor(diagnosis: Diagnosis, tests: int) -> str:
    """A remark where so few permutations could not have shown anything."""
    floor = min(1.0, tests / (diagnosis.permutations + 1))
    return (
        f" {diagnosis.permutations} permutations and {tests} tests cannot give less than {_p(floor)}."
        if floor > LEVEL
        else ""
    )


def _name(diagnosis: Diagnosis, part: str) -> str:
    return NAMES[part] if diagnosis.splits_features else "the representation"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _p(value: float) -> str:
    return f"p = {value:.3f}" if value >= 0.0005 else "p < 0.001"


def _score(probe: Probe) -> str:
    metric = "R²" if probe.metric == "r2" else probe.metric
    ends = "" if probe.low is None else f" [{number_text(probe.low)}, {number_text(probe.high)}]"
    score = f"{metric} {number_text(probe.score)}{ends}, chance {number_text(probe.chance)}"
    return f"{score}, {probe.kind} probe, {probe.rows} rows"


def best_probe(diagnosis: Diagnosis, asks: str, part: str) -> Probe:
    """The better of the linear and the kernel probe of all modalities together."""
    both = [p for p in diagnosis.probes if (p.asks, p.part, p.modality) == (asks, part, ALL)]
    return max(both, key=lambda p: -float("inf") if p.score is None else p.score)


def _label(diagnosis: Diagnosis, part: str) -> Finding:
    key, who = f"label-from-{part}", _name(diagnosis, part)
    question = f"Does {who} tell the label?"
    probe = best_probe(diagnosis, "label", part)
    if probe.score is None or probe.low is None or probe.chance is None:
        return Finding(key, question, "cannot tell", f"There is no probe: {probe.why or 'no interval'}.")
    if probe.low > probe.chance:
        return Finding(key, question, "yes", f"{_capital(who)} tells the label: {_score(probe)}.")
    return Finding(key, question, "cannot tell", f"No probe is shown to be better than chance: {_score(probe)}.")


def _role_swap(diagnosis: Diagnosis) -> Finding:
    key, question = "role-swap", "Does the spurious part tell the label as well as the invariant one?"
    if not diagnosis.role_swap:
        why = best_probe(diagnosis, "label", "predictive").why
        return Finding(key, question, "cannot tell", f"There is no probe: {why}.")
    roles = max(diagnosis.role_swap, key=lambda r: max(r.predictive, r.spurious))
    metric = "R²" if roles.metric == "r2" else roles.metric
    ends = "undefined" if roles.low is None else f"[{number_text(roles.low)}, {number_text(roles.high)}]"
    text = (
        f"Label from Z_inv: {metric} {number_text(roles.predictive)}, from Z_spu: {number_text(roles.spurious)} "
        f"({roles.kind} probe); difference {roles.difference:+.2f}, 95 % interval {ends}."
    )
    if roles.low is None or roles.high is None:
        return Finding(key, question, "cannot tell", text)
    if roles.high < 0:
        return Finding(key, question, "yes", f"{text} Z_spu tells the label better: the roles may be exchanged.", True)
    if roles.low > 0:
        return Finding(key, question, "no", f"{text} Z_inv tells it better; that alone does not make it the cause.")
    return Finding(key, question, "cannot tell", f"{text} The interval holds 0: neither is shown to tell more.", True)


def _lacking(diagnosis: Diagnosis) -> str:
    """Why a question about environments has no answer; "" if it has."""
    if not diagnosis.environments:
        return "The data declare no environment."
    return "These rows are of one environment." if len(diagnosis.environments) < 2 else ""


def _leak(diagnosis: Diagnosis, part: str) -> Finding:
    key, who = f"environment-from-{part}", _name(diagnosis, part)
    question = f"At a fixed label, does {who} tell the environment?"
    tests = [test for test in diagnosis.leakage if (test.part, test.modality) == (part, ALL)]
    lacking = _lacking(diagnosis)
    if lacking or all(test.found is None for test in tests):
        return Finding(key, question, "cannot tell", lacking or f"There is no test: {tests[0].why}.")
    adjusted = corrected([test.found.p if test.found else None for test in tests])
    p, test = min(((p, t) for p, t in zip(adjusted, tests, strict=True) if p is not None), key=lambda pair: pair[0])
    text = f"{_leak_text(test)} {_p(p)} by {diagnosis.permutations} permutations (Holm, {len(tests)} probes)."
    if p <= LEVEL:
        alarm = part == "predictive" and diagnosis.splits_features
        return Finding(key, question, "yes", f"{_capital(who)} tells the environment beyond the label. {text}", alarm)
    return Finding(
        key,
        question,
        "cannot tell",
        f"No leak was found, which does not show that there is none. {text}" + _floor(diagnosis, len(tests)),
    )


def _leak_text(test: PartLeakage) -> str:
    leak = test.found
    assert leak is not None, "chosen for having one"
    ends = "" if leak.low is None else f" [{number_text(leak.low)}, {number_text(leak.high)}]"
    return (
        f"Balanced accuracy {number_text(leak.score)}{ends} against {number_text(leak.chance)} for {leak.environments} "
        f"environments, {test.kind} probe, {leak.bins} bins of the label, {leak.rows} rows, {leak.unit} exchanged;"
    )


def _shift(diagnosis: Diagnosis, part: str) -> Finding:
    key, who = f"shift-of-{part}", _name(diagnosis, part)
    question = f"At a fixed label, does the environment move {who}?"
    test = next(test for test in diagnosis.shifts if (test.part, test.modality) == (part, ALL))
    lacking = _lacking(diagnosis)
    if lacking or test.found is None:
        return Finding(key, question, "cannot tell", lacking or f"There is no test: {test.why}.")
    shift = test.found
    text = (
        f"its means differ between environments by {shift.size:.2f} standard deviations at a fixed label "
        f"({_p(shift.p)}, {shift.bins} bins, {shift.rows} rows, {shift.unit} exchanged)"
    )
    if shift.p > LEVEL:
        return Finding(key, question, "cannot tell", f"No shift is shown: {text}.{_floor(diagnosis, 1)}")
    if shift.size < SMALL_SHIFT:
        return Finding(key, question, "yes", f"The shift is real and small (below {SMALL_SHIFT}): {text}.")
    alarm = part == "predictive" and diagnosis.splits_features
    return Finding(key, question, "yes", f"{_capital(who)} is not invariant: {text}.", alarm)


def _risk(diagnosis: Diagnosis) -> Finding:
    key, question, risks = "risk", "Does the risk differ between environments?", diagnosis.risks
    lacking = _lacking(diagnosis)
    if lacking or risks.p is None or risks.spread is None:
        return Finding(key, question, "cannot tell", lacking or "Fewer than two environments have 5 rows.")
    worst = next(environment for environment in risks.environments if environment.environment == risks.worst)
    ends = "" if worst.low is None else f" [{worst.low:.3g}, {worst.high:.3g}]"
    text = (
        f"mean risks of {len(risks.environments)} environments spread over {risks.spread:.3g}, the worst is "
        f"{worst.environment} with {worst.risk:.3g}{ends} ({_p(risks.p)}, Kruskal-Wallis, rows taken as independent)"
    )
    if risks.p <= LEVEL:
        return Finding(key, question, "yes", f"The risk differs: {text}.")
    return Finding(key, question, "cannot tell", f"No difference is shown: {text}.")


def _dependence(diagnosis: Diagnosis) -> Finding:
    key, question = "dependence", "Do the two parts depend on each other?"
    tests = [test for test in diagnosis.dependence if test.found is not None]
    if not tests:
        return Finding(key, question, "cannot tell", "There are fewer than 20 rows.")
    adjusted = corrected([test.found.hsic_p if test.found else None for test in tests])
    known = [(test, p) for test, p in zip(tests, adjusted, strict=True) if p is not None]
    shown = [test.modality for test, p in known if p <= LEVEL]
    text = "; ".join(
        f"{test.modality}: HSIC {number_text(test.found.similarity)} of its maximum, distance correlation "
        f"{number_text(test.found.distance_correlation)}, {_p(p)}"
        for test, p in known
        if test.found
    )
    if not shown:
        return Finding(
            key, question, "cannot tell", f"No dependence is shown ({text})." + _floor(diagnosis, len(tests))
        )
    what = f"In {'every modality' if len(shown) == len(tests) else ', '.join(shown)} they do"
    return Finding(
        key,
        question,
        "yes",
        f"{what} ({text}; Holm). Where shortcuts follow the label this must be so; it is no fault by itself.",
    )


def _swap(diagnosis: Diagnosis) -> Finding:
    key, question, swap = (
        "swap",
        "Does the prediction change when spurious parts are exchanged between rows?",
        diagnosis.swap,
    )
    if swap is None or swap.prediction_moves is None:
        return Finding(
            key, question, "cannot tell", "How the prediction follows from the parts is not known for this method."
        )
    rest = 0.0 if swap.rest is None else swap.rest
    return Finding(
        key,
        question,
        "no",
        f"It changes by {swap.prediction_moves:g}, by construction: the head does not see Z_spu (from Z_inv alone it "
        f"gives the predictions up to {rest:.1g}). This says nothing about what Z_inv holds.",
    )


def _decoded(diagnosis: Diagnosis) -> Finding:
    key, question = "decoded", "Do decoded features follow both parts?"
    moves = [change for change in diagnosis.swap.decoded if change.both > 0] if diagnosis.swap else []
    if not moves:
        return Finding(key, question, "cannot tell", "There is no decoder, or fewer than 10 pairs of rows.")
    shares = [(change, change.predictive / change.both, change.spurious / change.both) for change in moves]
    text = "; ".join(
        f"{change.modality}, partner of {'the same' if change.partner == 'same' else 'another'} environment: "
        f"{inv:.2f} with Z_inv, {spu:.2f} with Z_spu"
        for change, inv, spu in shares
    )
    dead = {
        f"{change.modality}: {'Z_inv' if inv < spu else 'Z_spu'}"
        for change, inv, spu in shares
        if min(inv, spu) < DEAD_SHARE
    }
    more = f" Below {DEAD_SHARE} the decoder ignores a part ({', '.join(sorted(dead))})." if dead else ""
    what = "as a share of the movement when both are exchanged"
    return Finding(key, question, "no" if dead else "yes", f"They move, {what}: {text}.{more}")


def _limits(diagnosis: Diagnosis) -> Finding:
    text = (
        f"Measured on {diagnosis.rows} rows of {diagnosis.split} with frozen weights. Intervals hold for these weights and "
        "this probe; another seed of the training may differ, and a stronger probe may find more."
    )
    if len(diagnosis.environments) < 2:
        text += " With one environment no measurement can tell causes from correlates of the label."
    return Finding("limits", "What do these numbers hold for?", "", text)
