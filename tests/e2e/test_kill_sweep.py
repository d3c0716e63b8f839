"""Kill a job with -9 again and again: nothing is lost, doubled, torn or left behind.

`PRAVAH_SWEEP` sets the number of rounds; every round is one kill at least, chosen by its number,
so that a round that failed can be run again alone.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import kills
from tests.e2e.kills import AtFailpoint, AtProgress, AtTime, Kill, Victim
from tests.e2e.sweep_jobs import SHAPES, Quiet, Shape, Stage
from tests.e2e.trees import make_source, make_tables

ROUNDS = int(os.environ.get("PRAVAH_SWEEP", "40"))
SMALL_FILES = 1500
LARGE_BYTES = 12 << 20
ATTEMPTS = 12  # halvings after which even a late moment lies before the job's end

# The transactions that every job makes, each with a point just before and just after its commit.
TRANSACTIONS = ("create", "claim", "emit", "window", "window", "window", "open_closing", "close")
PUBLISHING = {"linkat", "rename", "renameat", "renameat2"}

QuietRun = Callable[[Shape], Quiet]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep") / "source"
    make_source(made / "files", small_files=SMALL_FILES, large_bytes=LARGE_BYTES)
    make_tables(made / "tables", small_files=SMALL_FILES // 3, large_bytes=LARGE_BYTES)
    return made


@pytest.fixture(scope="module")
def quiet(source: Path, tmp_path_factory: pytest.TempPathFactory) -> QuietRun:
    """Run a shape without harm, when a round first needs it."""
    runs: dict[Shape, Quiet] = {}

    def run(shape: Shape) -> Quiet:
        if shape not in runs:
            place = tmp_path_factory.mktemp("quiet") / "stage"
            runs[shape] = Quiet.run(shape, source, place)
            calls = runs[shape].calls
            assert not calls or calls.keys() & PUBLISHING, "no call publishes: is there a new one?"
        return runs[shape]

    return run


@pytest.mark.parametrize("number", range(ROUNDS))
def test_job_killed_and_run_again_leaves_what_an_uninterrupted_one_does(
    number: int, quiet: QuietRun, source: Path, tmp_path: Path
) -> None:
    chance = random.Random(number)
    shape = SHAPES[number % len(SHAPES)]
    expected = quiet(shape)
    kill = chosen_kill(number, chance, shape, expected)
    stage, kill = killed(shape, source, tmp_path, kill)
    if chance.random() < 0.3 and not stage.has_ended():
        again = AtTime(chance.choice(list(Victim)), chance.uniform(0, expected.duration_s))
        kills.run_and_kill(stage.cli, stage.arguments(), again)

    if not stage.has_ended():
        stage.cli(*stage.arguments())

    context = f"round {number}, {shape.name}, killed by {kill}"
    end = stage.end()
    assert end.status == expected.end.status, context
    assert end.counts == expected.end.counts, context
    assert end.trees == expected.end.trees, context


def killed(shape: Shape, source: Path, place: Path, kill: Kill) -> tuple[Stage, Kill]:
    """Start a job and kill it, from scratch and earlier each time until the kill lands."""
    for attempt in range(ATTEMPTS):
        stage = Stage.set(shape, source, place / f"attempt-{attempt}")
        if isinstance(kill, AtProgress):
            kill = kill.over(stage.outputs)
        if kills.run_and_kill(stage.cli, stage.arguments(), kill):
            return stage, kill
        kill = kill.earlier()
    pytest.fail(f"{shape.name}: {kill} came after the job's end {ATTEMPTS} times")


def chosen_kill(number: int, chance: random.Random, shape: Shape, quiet: Quiet) -> Kill:
    """Choose the way of a round: by clock and progress, at points and at system calls."""
    way, victim = number % 4, chance.choice(list(Victim))
    if way == 0:
        side = chance.choice(("before_commit", "after_commit"))
        point = f"ledger.{chance.choice(TRANSACTIONS)}.{side}"
        return AtFailpoint(point, chance.randint(1, 4))
    if way in (1, 2) and quiet.calls:
        return kills.system_call(chance, quiet.calls)
    # Outputs that are replaced are there all the time: no progress to see.
    if chance.random() < 0.5 or shape.earlier or shape.in_place or shape.merges or shape.tables:
        return AtTime(victim, chance.uniform(0, quiet.duration_s))
    return AtProgress(victim, chance.randrange(1, SMALL_FILES))
