"""Statistics of results over seeds, rows, methods and datasets: pure functions of arrays."""

from deconfound.scoring.weights import Weighted
from deconfound.statistics.curves import area_weights, auilc, relative_robustness
from deconfound.statistics.interval import Estimate, estimate, resample
from deconfound.statistics.paired import CORRECTIONS, Correction, corrected, sign_flip, wilcoxon
from deconfound.statistics.ranks import Friedman, average_ranks, cliques, critical_difference, friedman, ranks
from deconfound.statistics.ties import all_tie, differing, smallest_p

__all__ = [
    "CORRECTIONS",
    "Correction",
    "Estimate",
    "Friedman",
    "Weighted",
    "all_tie",
    "area_weights",
    "auilc",
    "average_ranks",
    "cliques",
    "corrected",
    "critical_difference",
    "differing",
    "estimate",
    "friedman",
    "ranks",
    "relative_robustness",
    "resample",
    "sign_flip",
    "smallest_p",
    "wilcoxon",
]
