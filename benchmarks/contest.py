"""The method: entrants take turns on the same data, and medians are compared.

Each entrant runs once unmeasured (page cache, lazy loading), then the rounds go A B C A B C …,
so that a noisy minute hits all of them. Output goes to a directory that is new in every round, and
nothing is removed before the last one, because creating files gets slower where others have been.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROUNDS = 5  # pairs; the least that the targets ask for


@dataclass(frozen=True)
class Sample:
    """One run: wall time, CPU time of all its processes, and the largest one's memory."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True)
class Entrant:
    """A command line that takes part. `{out}` in it is the round's own directory.

    `prepare` runs before the clock starts and `finish` after it has stopped. With `reports_seconds` the command prints the seconds
    to count as its last line, where its start-up is not what the row is about.
    """

    name: str
    command: str
    prepare: str = ""
    finish: str = ""
    needs: str = ""
    reports_seconds: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """What an entrant's rounds came to."""

    name: str
    command: str
    median_s: float
    fastest_s: float
    slowest_s: float
    cpu_s: float
    peak_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class Target:
    """A bound that Pravah's figure is held against."""

    claim: str
    measured: float
    bound: float
    unit: str = "s"
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Give measured ÷ bound."""
        return self.measured / self.bound

    @property
    def is_met(self) -> bool:
        """Say whether the bound holds."""
        return self.ratio >= 1 if self.at_least else self.ratio <= 1


@dataclass
class Contest:
    """A heading, its figures, the targets they are held against, and who could not take part."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    measured: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")

    def median_s(self, name: str) -> float | None:
        """Give an entrant's median, or None where it did not take part."""
        return next((figure.median_s for figure in self.figures if figure.name == name), None)


class CommandError(Exception):
    """An entrant's command ended with an error, so its time means nothing."""


def compete(
    title: str, entrants: Sequence[Entrant], scratch: Path, rounds: int = ROUNDS
) -> Contest:
    """Run the entrants in turn, with outputs below `scratch`, and give their figures."""
    contest = Contest(title)
    present = []
    for entrant in entrants:
        if entrant.needs and shutil.which(entrant.needs) is None:
            contest.absent.append(f"{entrant.name} ({entrant.needs} is not installed)")
        else:
            present.append(entrant)
    samples: dict[str, list[Sample]] = {entrant.name: [] for entrant in present}
    output_bytes: dict[str, int] = {}
    for number in range(rounds + 1):
        for place, entrant in enumerate(present):
            out = scratch / f"{number}-{place}"
            out.mkdir(parents=True)
            say(
                f"{title}: {entrant.name}, "
                + (f"round {number} of {rounds}" if number else "warm-up")
            )
            sample = measure(entrant, out)
            if number:
                samples[entrant.name].append(sample)
            output_bytes[entrant.name] = _size_bytes(out)
    contest.figures = [
        _figure(entrant, samples[entrant.name], output_bytes[entrant.name]) for entrant in present
    ]
    return contest


def measure(entrant: Entrant, out: Path) -> Sample:
    """Run an entrant once in a shell and give what it took."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **entrant.environment}
    _run(entrant.prepare, out, environment)
    log = out.with_suffix(".log")
    with log.open("wb+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            _shell(entrant.command, out),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    _run(entrant.finish, out, environment)
    if process.returncode != 0:
        raise CommandError(f"{entrant.name} ended with {process.returncode}:\n{text[-2000:]}")
    if entrant.reports_seconds:
        wall_s = float(text.splitlines()[-1])
    return Sample(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _run(command: str, out: Path, environment: Mapping[str, str]) -> None:
    if command:
        subprocess.run(_shell(command, out), check=True, env=environment)


def _shell(command: str, out: Path) -> list[str]:
    return ["bash", "-euo", "pipefail", "-c", command.replace("{out}", str(out))]


def _figure(entrant: Entrant, samples: Sequence[Sample], output_bytes: int) -> Figure:
    def median(pick: Callable[[Sample], float]) -> float:
        return statistics.median(map(pick, samples))

    return Figure(
        name=entrant.name,
        command=entrant.command,
        median_s=median(lambda sample: sample.wall_s),
        fastest_s=min(sample.wall_s for sample in samples),
        slowest_s=max(sample.wall_s for sample in samples),
        cpu_s=median(lambda sample: sample.cpu_s),
        peak_bytes=int(median(lambda sample: sample.peak_bytes)),
        output_bytes=output_bytes,
    )


def _size_bytes(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file())


def say(line: str) -> None:
    """Tell who waits what is being done."""
    print(f"bench: {line}", file=sys.stderr, flush=True)
