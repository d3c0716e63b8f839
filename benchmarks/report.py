"""Writes the page of results: every figure as it is, also where a target is missed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.contest import Contest, Figure, Target
from benchmarks.lab import PRAVAH, PROJECT, PYTHON, Lab

INTRODUCTION = """\
# Benchmarks

Written by `make bench`; do not edit.
Entrants of a table ran in turn on the same data in the same run (A B A B …), once unmeasured and then at least five times; the times are medians, with the fastest and the slowest in brackets.
Outputs go to a new directory in each round, and `sync -f` is inside the peers' times because Pravah's outputs are on disk when it ends.
The CPU time and the memory are those of all processes of an entrant, and of its largest one; memory below about 20 MiB cannot be told apart by this method.
"""


def write(page: Path, lab: Lab, contests: Sequence[Contest]) -> None:
    """Write the page."""
    page.write_text("\n".join(_lines(lab, contests)) + "\n", "utf-8")


def targets_text(contests: Iterable[Contest]) -> str:
    """Give the targets and their ratios as lines for the terminal."""
    return "\n".join(
        f"{'met   ' if target.is_met else 'missed'}  {target.ratio:5.2f}  {target.claim}"
        f"  ({_amount(target, target.measured)} against {_amount(target, target.bound)})"
        for contest in contests
        for target in contest.targets
    )


def _lines(lab: Lab, contests: Sequence[Contest]) -> Iterator[str]:
    yield INTRODUCTION
    days = sorted({contest.measured for contest in contests})
    yield f"Measured {' and '.join(days)}, scale `{lab.scale.value}`."
    yield "\n| Machine | |\n|---|---|"
    yield from (f"| {what} | {value} |" for what, value in machine.description(lab.cache))
    yield "\n## Targets\n"
    yield "The ratio is measured ÷ bound: up to 1 is met (from 1 on where the bound is a minimum).\n"
    yield "| Target | Measured | Bound | Ratio | |\n|---|---|---|---|---|"
    for contest in contests:
        yield from map(_target_line, contest.targets)
    for contest in contests:
        yield from _contest_lines(lab, contest)


def _target_line(target: Target) -> str:
    verdict = "met" if target.is_met else "**missed**"
    return (
        f"| {_cell(target.claim)} | {_amount(target, target.measured)} | {_amount(target, target.bound)}"
        f" | {target.ratio:.2f} | {verdict} |"
    )


def _contest_lines(lab: Lab, contest: Contest) -> Iterator[str]:
    yield f"\n## {contest.title}\n"
    yield "| Entrant | Time | Ratio to the first | CPU | Memory | Output |\n|---|---|---|---|---|---|"
    first_s = contest.figures[0].median_s
    for figure in contest.figures:
        yield _figure_line(figure, first_s)
    if contest.absent:
        yield f"\nNot measured: {', '.join(contest.absent)}."
    yield from (f"\n{note}" for note in contest.notes)
    yield "\n```sh"
    yield from (_published(lab, figure.command) for figure in contest.figures)
    yield "```"


def _figure_line(figure: Figure, first_s: float) -> str:
    spread = f"{_seconds(figure.fastest_s)} to {_seconds(figure.slowest_s)}"
    output = f"{figure.output_bytes / 1e6:,.1f} MB" if figure.output_bytes else ""
    return (
        f"| {_cell(figure.name)} | {_seconds(figure.median_s)} ({spread}) | {figure.median_s / first_s:.2f}"
        f" | {_seconds(figure.cpu_s)} | {figure.peak_bytes / (1 << 20):,.0f} MiB | {output} |"
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _published(lab: Lab, command: str) -> str:
    """Give a command with this machine's paths replaced by names."""
    return (
        command.replace(str(lab.cache), "$DATA")
        .replace("{out}", "$OUT")
        .replace(str(PRAVAH), "pravah")
        .replace(str(PYTHON), "python")
        .replace(str(PROJECT), "$PRAVAH")
    )


def _amount(target: Target, value: float) -> str:
    if target.unit == "s":
        return _seconds(value)
    return f"{value:,.1f} {target.unit}" if value < 1000 else f"{value:,.0f} {target.unit}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"
