"""What a run or a store was made with, for `deconfound show FOLDER` and at the end of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_run_or_store(path: Path) -> bool:
    """Whether a path is the folder of one."""
    try:
        return any((path / name).is_file() for name in ("spec.json", "dataset.json"))
    except (OSError, ValueError):  # such as a name that is too long
        return False


def describe_folder(path: Path) -> dict[str, Any]:
    """The method of a run, and the encoder, extractor and pretrained model of each modality of a run or store.

    Raises:
        RunError, StoreError: the folder is damaged.
    """
    if (path / "spec.json").is_file():
        from deconfound.runs.build import encoders_of
        from deconfound.runs.run import Run

        run = Run.open(path)
        encoders, preparations = encoders_of(run.spec, run.modalities), run.preparations
        shown = run.modalities
        about = {"kind": "run", "method": run.spec.method}
    else:
        from deconfound.data.store import open_store

        dataset = open_store(path)
        notes = dataset.provenance.get("masks", {})
        preparations = {name: note["preparation"] for name, note in notes.items() if "preparation" in note}
        encoders, shown, about = {}, dataset.modalities, {"kind": "store"}
    modalities = {
        name: {
            "reads": str(modality),
            **({"encoder": encoders[name]} if name in encoders else {}),
            **({"preparation": preparations[name]} if name in preparations else {}),
        }
        for name, modality in shown.items()
    }
    return {"name": str(path), **about, "modalities": modalities}


def folder_lines(description: Mapping[str, Any]) -> list[str]:
    """The description as lines for a terminal."""
    lines = [f"{description['name']} ({description['kind']})"]
    if "method" in description:
        method = dict(description["method"])
        name = method.pop("name", method.get("python"))
        lines.append(" ".join([f"  method: {name}", *(f"{key} {value}" for key, value in method.items())]))
    for name, modality in description["modalities"].items():
        encoder = f", encoder {modality['encoder']}" if "encoder" in modality else ""
        lines.append(f"  {modality['reads']}{encoder}")
        if "preparation" in modality:
            note = modality["preparation"]
            lines.append(f"  {name}: {preparation_text(note)}")
            model = note.get("model", {})
            weights = model.get("sha256", model.get("tokenizer", ""))
            lines += [f"  {name}: {model['model']}, checksum {weights[:16]}"] if weights else []
    return lines


def preparation_text(note: Mapping[str, Any]) -> str:
    """How raw samples, or columns of a table, were read."""
    from deconfound.datasets.tabular.encoding import KIND

    if note["kind"] == KIND:
        from deconfound.datasets.tabular.fit import table_line

        return table_line({"preparation": note})
    choice = " ".join(f"{key} {value}" for key, value in note["extractor"].items() if key != "name")
    return f"{note['kind']} of the column {note['column']!r}, read by {note['extractor']['name']} ({choice})"
