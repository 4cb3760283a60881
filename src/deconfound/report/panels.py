"""The panels of a section: figures under headings, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

from deconfound.report.chart import Figure
from deconfound.report.page_model import Panel
from deconfound.results.sections import Section


def section_panels(section: Section, points: int) -> list[Panel]:
    """The panels that have something to show.

    Args:
        points: number of points that the learning curves of the section may have together.

    Raises:
        RunError: a diagnosis, a file of predictions or a file of masked features is damaged.
    """
    from deconfound.report.diagnostics import diagnosis_panels
    from deconfound.report.figures import curve_figures, missing_figures
    from deconfound.report.lattice import lattice_figures
    from deconfound.report.learning import learning_figures
    from deconfound.report.pairs import pair_figures
    from deconfound.report.sensitivity import sensitivity_figures

    curves = curve_figures(section)
    paired = len(section.rows) > 1 and bool(curves)
    settings = [*sensitivity_figures(section), *pair_figures(section)]
    panels = [
        _shift_panel(section),
        Panel("robust", "Robustness", _ROBUST, _laid_out(curves), views=paired),
        Panel("missing", "Missing modalities", _MISSING, [(figure, "wide") for figure in missing_figures(section)]),
        Panel("lattice", "Subsets of modalities", _LATTICE, _narrow(lattice_figures(section)), "many"),
        _modalities_panel(section),
        _groups_panel(section),
        _calibration_panel(section),
        *diagnosis_panels(section),
        Panel("hyperparameters", "Hyper-parameters", _hyperparameters_intro(section), _narrow(settings), "many"),
        Panel("learning", "Learning curves", _LEARNING, _narrow(learning_figures(section, points)), "many"),
    ]
    return [panel for panel in panels if panel.figures or panel.tables]


def _shift_panel(section: Section) -> Panel:
    from deconfound.report.ranks import rank_figure
    from deconfound.report.scatter import scatter_figure

    figures = [figure for figure in (scatter_figure(section), rank_figure(section)) if figure]
    return Panel(
        "shift", "Under shift", _SHIFT, [(figure, "wide" * (len(figures) == 1)) for figure in figures], "loose"
    )


def _modalities_panel(section: Section) -> Panel:
    from deconfound.report.modalities import contribution_figures, disagreement_figures, masked_figures

    wide = [(figure, "wide") for figure in disagreement_figures(section)]
    figures = [*wide, *_narrow([*contribution_figures(section), *masked_figures(section)])]
    return Panel("modalities", "Modalities", _MODALITIES, figures)


def _groups_panel(section: Section) -> Panel:
    from deconfound.report.figures import group_figure

    figure = group_figure(section)
    return Panel("groups", "Groups", _GROUPS, [(figure, "wide")] if figure else [])


def _calibration_panel(section: Section) -> Panel:
    from deconfound.report.reliability import calibration

    table_and_figure = calibration(section)
    if table_and_figure is None:
        return Panel("calibration", "Calibration", _CALIBRATION, [])
    table, figure = table_and_figure
    return Panel("calibration", "Calibration", _CALIBRATION, [(figure, "")], tables=[table])


def _hyperparameters_intro(section: Section) -> str:
    from deconfound.report.sensitivity import MOST, varied_hyperparameters

    count = len(varied_hyperparameters(section))
    return _HYPERPARAMETERS if count <= MOST else f"{_HYPERPARAMETERS} Shown are {MOST} of {count} settings."


def _narrow(figures: Sequence[Figure]) -> list[tuple[Figure, str]]:
    return [(figure, "") for figure in figures]


def _laid_out(figures: Sequence[Figure]) -> list[tuple[Figure, str]]:
    """Two figures side by side; a single last figure over the whole width."""
    alone = len(figures) - 1 if len(figures) % 2 else -1
    return [(figure, "wide" if i == alone else "") for i, figure in enumerate(figures)]


_SHIFT = "Is a method better where the data changed, or only better everywhere? Scenario and group are chosen above."
_ROBUST = "The same weights on corrupted inputs."
_MISSING = "The same weights with modalities removed."
_LATTICE = (
    "Each node is a set of present modalities; each edge downwards removes one. All methods share one scale of shades."
)
_MODALITIES = "Which modality carries the prediction; deconfound predominance measures it for one run, with intervals."
_GROUPS = "Each environment of the chosen split by itself: a mean over all rows can hide a group that the method serves badly."
_CALIBRATION = "Whether the predicted probabilities can be trusted, on clean rows."
_HYPERPARAMETERS = (
    "Results of every run against the settings in which the runs of a method differ. Choosing a setting by anything but "
    "validation makes the test result an overestimate."
)
_LEARNING = (
    "Every logged term; the total is weighted, the others are not. Solid: training; dashed: validation. "
    "Bold: mean over the seeds that reached the epoch; thin: each seed."
)
