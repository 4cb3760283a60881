"""What `deconfound data import` says of the store that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.cli.show_folder import preparation_text

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset

_FEATURE_COUNTS = (
    ("dropped_features", "left out", "the steps of train"),
    ("imputed_features", "imputed", "all steps"),
)
_MOST_FEATURES = 10
_MASK_COUNTS = ("dropped_steps", "nan_steps", "infinite_steps", "absent_rows")


def import_summary(dataset: Dataset, store: Path) -> list[str]:
    """Rows, modalities and masked steps, as lines for a terminal."""
    from deconfound.datasets.validation_share import validation_text

    rows = ", ".join(f"{split} {len(numbers)}" for split, numbers in dataset.splits.items())
    lines = [f"wrote {store}: {rows} rows", *(f"  {modality}" for modality in dataset.modalities.values())]
    for modality, notes in dataset.provenance.get("masks", {}).items():
        lines += [f"  {modality}: {notes['axes']}"] if "axes" in notes else []
        counts = [f"{notes[key]} {key.replace('_', ' ')}" for key in _MASK_COUNTS if notes.get(key)]
        if counts:
            lines.append(f"  {modality}: masked {', '.join(counts)}")
        lines += [
            f"  {modality}: {done} feature {feature}, which is not finite in {share:.1%} of {steps}"
            for key, done, steps in _FEATURE_COUNTS
            for feature, share in list(notes.get(key, {}).items())[:_MOST_FEATURES]
        ]
        lines += _preparation_lines(modality, notes)
    lines += [f"  {line}" for line in dataset.provenance.get("assumed", [])]
    for other, split in dataset.provenance.get("renamed_splits", {}).items():
        lines.append(f"  the split {other!r} is taken as {split!r}")
    if "validation_taken" in dataset.provenance:
        lines.append(f"  {validation_text(dataset.provenance['validation_taken'])}")
    dropped = dataset.provenance.get("unlabelled_rows_dropped")
    if dropped:
        again = f"'deconfound predict RUN {dataset.provenance.get('file', 'TABLE')} --unlabelled'"
        lines.append(f"  left out {dropped} rows without a label; {again} predicts them")
    return lines


def _preparation_lines(modality: str, notes: Mapping[str, Any]) -> list[str]:
    """How raw samples were read, and which could not be."""
    from deconfound.datasets.tabular.encoding import KIND  # loads PyTorch
    from deconfound.datasets.tabular.fit import table_line

    if "preparation" not in notes:
        return []
    if notes["preparation"]["kind"] == KIND:
        return [f"  {modality}: {table_line(notes)}"]
    note, broken = notes["preparation"], notes["broken"]
    lines = [f"  {modality}: {preparation_text(note)}"]
    if broken:
        listed = "; ".join(f"{name!r} {reason}" for name, reason in list(broken.items())[:3])
        lines.append(f"  {modality}: {notes['broken_rows']} samples cannot be read and are absent: {listed}")
    return lines
