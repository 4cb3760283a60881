"""Whether a published number may stand beside one of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deconfound.errors import SpecError
from deconfound.protocol import get_protocol
from deconfound.references.published import FOREIGN, Reference, dataset_name

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset
    from deconfound.data.task import Modality

_SPLITS = ("train", "valid", "test")


def comparable(
    reference: Reference,
    dataset: str,
    protocol: str,
    splits: Mapping[str, int],
    inputs: Mapping[str, int],
) -> tuple[bool, str]:
    """Compare the conditions of a published number with ours. What the source does not state does not match.

    Args:
        reference: the published number.
        dataset: our name of the corpus.
        protocol: the protocol of our records.
        splits: split → rows of our data; the test split is "test" or "test-iid".
        inputs: modality → features per step, as `inputs_of` gives them.

    Returns:
        True and "", or False and all reasons in one line.
    """
    if reference.printed == "":
        return False, reference.note
    own = _name(dataset)
    if own != reference.dataset:
        return False, f"it is on {reference.dataset}, not on {dataset}"
    reasons = [*_about_value(reference), *_about_protocol(reference, protocol)]
    reasons += [*_about_split(reference, splits), *_about_inputs(reference, inputs)]
    return not reasons, "; ".join(reasons)


def inputs_of(data: Dataset | Mapping[str, Modality]) -> dict[str, int]:
    """Modality → features per step, 1 for tokens."""
    modalities = data if isinstance(data, Mapping) else data.modalities
    return {name: math.prod(modality.shape) for name, modality in modalities.items()}


def _name(dataset: str) -> str:
    try:
        return dataset_name(dataset)
    except SpecError:
        return dataset


def _about_value(reference: Reference) -> list[str]:
    reasons = []
    if reference.value is None:
        reasons.append(f"it is a range, {reference.printed}")
    if reference.condition:
        reasons.append(f"it was measured under a condition: {reference.condition}")
    return reasons


def _about_protocol(reference: Reference, protocol: str) -> list[str]:
    if reference.metric not in get_protocol(reference.protocol).metrics:
        return [f"it is {FOREIGN[reference.metric]}"]
    if reference.protocol != protocol:
        return [f"its protocol is {reference.protocol}, ours {protocol}"]
    return [] if reference.protocol_stated else ["its source does not state the protocol"]


def _about_split(reference: Reference, splits: Mapping[str, int]) -> list[str]:
    ours = dict(splits)
    if "test" not in ours and "test-iid" in ours:
        ours["test"] = ours["test-iid"]
    stated = [name for name in _SPLITS if name in reference.split]
    published, own = ([str(rows.get(name, "none")) for name in stated] for rows in (reference.split, ours))
    if published != own:
        return [f"its {'/'.join(stated)} splits have {'/'.join(published)} rows, ours {'/'.join(own)}"]
    return [] if stated == list(_SPLITS) else ["the sizes of its splits are not all recorded"]


def _about_inputs(reference: Reference, inputs: Mapping[str, int]) -> list[str]:
    if not reference.widths:
        stated = f" ({reference.inputs or reference.backbone})" if reference.inputs or reference.backbone else ""
        return [f"the features it used are not recorded{stated}"]
    if dict(reference.widths) == dict(inputs):
        return []
    published, own = (
        ", ".join(f"{name} {width}" for name, width in widths.items()) for widths in (reference.widths, inputs)
    )
    return [f"its inputs are {published} features ({reference.inputs}), ours {own}"]
