"""Kill a job with -9 again and again: nothing is lost, doubled, torn or left behind.

`PRAVAH_SWEEP` sets the number of rounds; every round is one kill at least, chosen by its number,
so that a round that failed can be run again alone.
"""

import os
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e import kills
from tests.e2e.cli.harness import Cli, assert_books_close
from tests.e2e.kills import AtFailpoint, AtProgress, AtTime, Kill, Victim
from tests.e2e.trees import digests, litter, make_source

ROUNDS = int(os.environ.get("PRAVAH_SWEEP", "40"))
SMALL_FILES = 1500
LARGE_BYTES = 12 << 20
ATTEMPTS = 12  # halvings after which even a late moment lies before the job's end

# The transactions that every job makes, each with a point just before and just after its commit.
TRANSACTIONS = ("create", "claim", "emit", "window", "window", "window", "open_closing", "close")


PUBLISHING = {"linkat", "rename", "renameat", "renameat2"}


@dataclass(frozen=True)
class Reference:
    """What an uninterrupted run does, and how long it takes."""

    source: Path
    tree: dict[bytes, str]
    listed: int
    duration_s: float
    creating_calls: dict[str, int]
    replacing_calls: dict[str, int]


def arguments(source: Path, sink: Path, level: int) -> list[str]:
    return [
        "run",
        str(source),
        "--to",
        f"{sink}/",
        "-s",
        f"compress:codec=zstd,level={level}",
        "-q",
    ]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    place = tmp_path_factory.mktemp("reference")
    source = place / "source"
    make_source(source, small_files=SMALL_FILES, large_bytes=LARGE_BYTES)
    began = time.monotonic()
    cli = Cli(place / "home", place)
    job = cli.job(*arguments(source, place / "sink", level=3)[1:])
    duration_s = time.monotonic() - began
    assert job["status"] == "completed"
    creating: dict[str, int] = {}
    replacing: dict[str, int] = {}
    if kills.strace_works():
        traced, log = place / "traced", place / "strace.log"
        creating = kills.system_calls_made(cli, arguments(source, traced, level=1), log)
        replacing = kills.system_calls_made(cli, arguments(source, traced, level=3), log)
        assert creating.keys() & PUBLISHING, "no call creates: is there a new one?"
        assert replacing.keys() & PUBLISHING, "no call replaces: is there a new one?"
    return Reference(
        source, digests(place / "sink"), job["counts"]["listed"], duration_s, creating, replacing
    )


@pytest.mark.parametrize("number", range(ROUNDS))
def test_job_killed_and_run_again_leaves_what_an_uninterrupted_one_does(
    number: int, reference: Reference, tmp_path: Path
) -> None:
    chance = random.Random(number)
    killed = killed_job(number, chance, reference, tmp_path)
    if chance.random() < 0.3:
        again = AtTime(chance.choice(list(Victim)), chance.uniform(0, reference.duration_s))
        kills.run_and_kill(killed.cli, killed.job, again)

    killed.cli.ok(*killed.job)

    context = f"round {number}, killed by {killed.kill}"
    assert digests(killed.sink) == reference.tree, context
    assert litter(killed.sink, reference.source) == [], context
    for job in killed.cli.ok("jobs", "list", "--json").objects():
        (shown,) = killed.cli.ok("jobs", "show", job["id"], "--json").objects()
        assert shown["status"] == "completed", context
        assert_books_close(shown)
        assert shown["counts"]["listed"] == reference.listed, context
        assert shown["counts"]["remaining"] == 0, context


@dataclass(frozen=True)
class Killed:
    """A job that was killed before its end, and what is needed to go on with it."""

    cli: Cli
    job: list[str]
    sink: Path
    kill: Kill


def killed_job(number: int, chance: random.Random, reference: Reference, place: Path) -> Killed:
    """Start a job and kill it, from scratch and earlier each time until the kill lands."""
    kill = chosen_kill(number, chance, reference)
    for attempt in range(ATTEMPTS):
        sink = place / f"sink-{attempt}"
        if isinstance(kill, AtProgress):
            kill = replace(kill, sink=sink)
        cli = Cli(place / f"home-{attempt}", place)
        if replaces(number):
            cli.ok(*arguments(reference.source, sink, level=1))
        job = arguments(reference.source, sink, level=3)
        if kills.run_and_kill(cli, job, kill):
            return Killed(cli, job, sink, kill)
        kill = kill.earlier()
    pytest.fail(f"round {number}: {kill} came after the job's end {ATTEMPTS} times")


def replaces(number: int) -> bool:
    """Say whether a round replaces outputs, which are published in another way than new ones."""
    return number % 4 == 3


def chosen_kill(number: int, chance: random.Random, reference: Reference) -> Kill:
    """Choose the way of a round: half by clock and progress, half at points and system calls."""
    way, victim = number % 8, list(Victim)[number % 3]
    if way in (4, 7):
        side = chance.choice(("before_commit", "after_commit"))
        point = f"ledger.{chance.choice(TRANSACTIONS)}.{side}"
        return AtFailpoint(point, chance.randint(1, 4))
    calls = reference.replacing_calls if replaces(number) else reference.creating_calls
    if way in (3, 5) and calls:
        return kills.system_call(chance, calls)
    if way in (0, 3):  # outputs that are replaced are there all the time: no progress to see
        return AtTime(victim, chance.uniform(0, reference.duration_s))
    return AtProgress(victim, Path(), chance.randrange(reference.listed))
