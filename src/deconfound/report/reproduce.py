"""The commands, seeds and versions behind a section, as the runs recorded them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deconfound.io.plain_text import one_line, plain_text, text_of_lines
from deconfound.report.conditions import all_runs
from deconfound.results.run_result import RunResult, command_line
from deconfound.results.sections import Section


@dataclass(frozen=True)
class Recipe:
    """Lines for a shell; what is no command is a comment.

    Args:
        before: the data, the software and the seeds.
        runs: one line for each run, in the order of `all_runs`; of a sweep the same line for all.
        after: how test rows were predicted and the page was made.
    """

    before: tuple[str, ...]
    runs: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join([*self.before, *dict.fromkeys(self.runs), *self.after])


def recipe(section: Section, sources: Sequence[Path | str], out: Path) -> Recipe:
    """How to make a section again.

    Args:
        sources, out: of the report, as they were given.
    """
    runs = all_runs(section)
    software = list(dict.fromkeys(_software(run) for _, run in runs))
    marks = [f" [{i + 1}]" if len(software) > 1 else "" for i in range(len(software))]
    before = [f"# data: {one_line(section.dataset)}" + (f", checksum {section.checksum}" if section.checksum else "")]
    before += [f"# made with{mark}: {text}" for mark, text in zip(marks, software, strict=True)]
    seeds = (f"{row.label} {', '.join(map(str, row.seeds))}" for row in section.rows)
    before.append(one_line(f"# seeds: {'; '.join(seeds)}"))
    lines = [_run_line(label, run, marks[software.index(_software(run))]) for label, run in runs]
    after = dict.fromkeys(_evaluations(section))
    report = shlex.join(["deconfound", "report", *map(str, sources), "--out", str(out)])
    return Recipe(tuple(before), tuple(lines), (*after, _shell_line(report)))


def _software(run: RunResult) -> str:
    parts = []
    for part in ("versions", "git"):
        values = run.environment.get(part)
        for name, value in values.items() if isinstance(values, dict) else ():
            parts.append(f"{'git ' if part == 'git' else ''}{name} {str(value)[:100]}")
    return one_line(", ".join(parts)) or "versions that were not recorded"


def _run_line(label: str, run: RunResult, mark: str) -> str:
    command = command_line(run.environment.get("command")) or f"# no command recorded for {run.folder}"
    if _is_sweep(command):
        return _shell_line(command)
    whose = label.replace(f" [{run.variant}]", "", 1) if run.variant else label or run.method
    return f"{_shell_line(command)}  # {one_line(f'{whose}, seed {run.seed}, run {run.folder}{mark}')}"


def _shell_line(command: str) -> str:
    """A command that stays one line when it is pasted into a terminal."""
    return plain_text(text_of_lines([command]))


def _is_sweep(command: str) -> bool:
    return command.split()[1:2] == ["sweep"]


def _evaluations(section: Section) -> Iterator[str]:
    for _, run in all_runs(section):
        commands = [command for command in run.test_accesses if command and not _is_sweep(command)]
        yield from map(_shell_line, commands)
