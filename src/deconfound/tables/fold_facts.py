"""What a reader must know of a table over folds, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from deconfound.tables.build import ComparisonTable
from deconfound.tables.folds import WORST_FOLD

_MOST = 12


def fold_facts(table: ComparisonTable, show: str, level: str) -> list[str]:
    """Which folds, what a cell is over, and what its interval leaves out.

    Args:
        show: "sd", "interval" or "difference".
        level: of the intervals, such as "95 %".
    """
    seeds = {line.seeds for line in table.lines}
    own = f"its seeds {', '.join(map(str, next(iter(seeds))))}" if len(seeds) == 1 else "its seeds, which differ"
    cell = {
        "sd": f"Mean ± standard deviation over folds, to the digits that the {level} interval of the mean supports.",
        "interval": f"Mean over folds [{level} interval].",
        "difference": f"Method − {table.baseline or 'baseline'}, paired by fold [{level} interval, not corrected for the "
        "number of methods]; the baseline: mean over folds.",
    }[show]
    worst = f"{WORST_FOLD}: mean ± standard deviation over seeds of the worst fold of each seed; not tested."
    return [
        f"{len(table.folds)} folds, {table.folded}: {_listed(table.folds)}. Each is the mean over {own}, and counts once.",
        cell,
        "The folds share training rows, and their test rows are as given: the intervals take the folds as independent.",
        *([worst] if any(column.group.endswith(WORST_FOLD) for column in table.columns) else []),
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MOST], *([f"and {len(names) - _MOST} more"] if len(names) > _MOST else [])])
