"""Kill jobs over objects with -9 again and again: no object is lost, doubled, torn or left behind.

`PRAVAH_SWEEP` sets the number of rounds; every round is one kill at least, chosen by its number,
so that a round that failed can be run again alone.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e import kills
from tests.e2e.kills import AtFailpoint, AtProgress, AtTime, Kill, Victim
from tests.e2e.object_places import Place, lent
from tests.e2e.object_sweep_jobs import LARGE_BYTES, SHAPES, Quiet, Shape, Stage
from tests.e2e.trees import make_source
from tests.object_servers import ObjectServer

ROUNDS = int(os.environ.get("PRAVAH_SWEEP", len(SHAPES)))
SMALL_FILES = 120
ATTEMPTS = 12  # halvings after which even a late moment lies before the job's end

# The transactions that every job makes, each with a point just before and just after its commit;
# and what the runner says.
TRANSACTIONS = ("create", "claim", "emit", "window", "window", "window", "open_closing", "close")
FRAMES = ("runner.window.before_send", "runner.window.after_send", "runner.verdict.received")

QuietRun = Callable[[Shape], Quiet]
Buckets = Mapping[str, Place]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("object-sweep")
    make_source(made / "small", small_files=SMALL_FILES, large_bytes=1 << 20)
    (made / "large").mkdir()
    chance = random.Random(12)
    for name, size_bytes in LARGE_BYTES.items():
        (made / "large" / name).write_bytes(chance.randbytes(size_bytes))
    (made / "large" / "small.txt").write_bytes(b"small\n")
    return made


@pytest.fixture(scope="module")
def buckets(minio: ObjectServer, versitygw: ObjectServer) -> Iterator[Buckets]:
    with lent(minio) as near, lent(versitygw, "far") as far:
        yield {"minio": near, "versitygw": far}


@pytest.fixture(scope="module")
def quiet(source: Path, buckets: Buckets, tmp_path_factory: pytest.TempPathFactory) -> QuietRun:
    """Run a shape without harm, when a round first needs it."""
    runs: dict[Shape, Quiet] = {}

    def run(shape: Shape) -> Quiet:
        if shape not in runs:
            place = tmp_path_factory.mktemp("quiet") / "stage"
            runs[shape] = Quiet.run(Stage.set(shape, source, place, buckets))
            calls = runs[shape].calls
            assert not calls or {"sendto", "writev"} & calls.keys(), "by which call do requests go?"
        return runs[shape]

    return run


@pytest.mark.parametrize("number", range(ROUNDS))
def test_job_over_objects_killed_and_run_again_leaves_what_an_uninterrupted_one_does(
    number: int, quiet: QuietRun, source: Path, buckets: Buckets, tmp_path: Path
) -> None:
    chance = random.Random(number)
    shape = SHAPES[number % len(SHAPES)]
    expected = quiet(shape)
    kill = chosen_kill(chance, expected)
    stage, kill = killed(shape, kill, source, tmp_path, buckets)
    if chance.random() < 0.3 and not stage.has_ended():
        again = AtTime(chance.choice(list(Victim)), chance.uniform(0, expected.duration_s))
        kills.run_and_kill(stage.cli, stage.arguments(), again)

    if not stage.has_ended():
        stage.cli(*stage.arguments())

    assert stage.end() == expected.end, f"round {number}, {shape.name}, killed by {kill}"


def killed(
    shape: Shape, kill: Kill, source: Path, place: Path, buckets: Buckets
) -> tuple[Stage, Kill]:
    """Start a job and kill it, from scratch and earlier each time until the kill lands."""
    for attempt in range(ATTEMPTS):
        stage = Stage.set(shape, source, place / f"attempt-{attempt}", buckets)
        if isinstance(kill, AtProgress):
            kill = kill.over(stage.outputs)
        if kills.run_and_kill(stage.cli, stage.arguments(), kill):
            return stage, kill
        kill = kill.earlier()
    pytest.fail(f"{shape.name}: {kill} came after the job's end {ATTEMPTS} times")


def chosen_kill(chance: random.Random, quiet: Quiet) -> Kill:
    """Choose the way of a round: by clock and progress, at points and at system calls."""
    way, victim = chance.randrange(5), chance.choice(list(Victim))
    if way == 0:
        side = chance.choice(("before_commit", "after_commit"))
        points = [f"ledger.{name}.{side}" for name in TRANSACTIONS]
        return AtFailpoint(chance.choice([*points, *FRAMES]), chance.randint(1, 3))
    if way in (1, 2) and quiet.calls:
        return kills.system_call(chance, quiet.calls)
    if way == 3:
        return AtProgress(victim, chance.randrange(1, max(2, quiet.outputs)))
    return AtTime(victim, chance.uniform(0, quiet.duration_s))
