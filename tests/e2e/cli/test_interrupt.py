"""Ctrl-C and SIGTERM: the job is paused, nothing is half-written, and it goes on when asked."""

import gzip
import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli
from tests.e2e.cli.terminal import Terminal

COMMAND = ("run", "data", "--to", "out", "-s", "compress:codec=gzip,level=12")
# Long enough to be interrupted: the slowest level on words that compress.
FILES, FILE_BYTES = 1500, 40_000


@pytest.fixture
def long_job(cli: Cli) -> Path:
    source = cli.directory / "data"
    source.mkdir()
    words = [f"word{number:05}" for number in range(4000)]
    chance = random.Random(7)
    pool = " ".join(chance.choices(words, k=200_000)).encode()
    for number in range(FILES):
        start = chance.randrange(len(pool) - FILE_BYTES)
        (source / f"{number:05}.txt").write_bytes(pool[start : start + FILE_BYTES])
    return source


def litter(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(".pravah-")]


def assert_whole(sink: Path) -> int:
    """Check that every output is a whole gzip file; give how many there are."""
    outputs = list(sink.rglob("*.gz"))
    for path in outputs:
        assert len(gzip.decompress(path.read_bytes())) == FILE_BYTES
    return len(outputs)


@pytest.mark.parametrize("how", ["keys", "terminate"])
def test_interrupted_run_pauses_says_how_to_go_on_and_goes_on(
    cli: Cli, long_job: Path, how: str
) -> None:
    assert long_job.exists()
    terminal = Terminal(cli, *COMMAND)
    terminal.wait_for(" %")
    if how == "keys":
        terminal.type(b"\x03")
    else:
        terminal.signal(signal.SIGTERM)
    shown = terminal.finish()
    assert terminal.code == 130, shown
    paused = re.search(
        r"paused: ([\d,]+) of 1,500 files are done and safe; nothing is half-written", shown
    )
    assert paused, shown
    done = int(paused[1].replace(",", ""))
    assert re.search(
        r"hint: go on with `pravah jobs resume job_\w+`, or run the same command again", shown
    )
    assert assert_whole(cli.directory / "out") == done
    assert litter(cli.directory / "out") == []
    (job,) = cli.ok("jobs", "list", "--json").objects()
    assert job["status"] == "paused"
    again = cli("run", *COMMAND[1:])
    assert again.code == 0, again.err
    assert re.search(rf"resuming {job['id']} at \d+ % \(started .* ago\)", again.err)
    assert assert_whole(cli.directory / "out") == FILES


def test_second_interrupt_ends_at_once_and_the_job_can_be_resumed(cli: Cli, long_job: Path) -> None:
    assert long_job.exists()
    terminal = Terminal(cli, *COMMAND)
    terminal.wait_for(" %")
    terminal.type(b"\x03")
    time.sleep(0.5)  # equal signals that are pending become one
    terminal.type(b"\x03")
    began_s = time.monotonic()
    terminal.finish()
    assert terminal.code == 130
    assert time.monotonic() - began_s < 5
    (job,) = cli.ok("jobs", "list", "--json").objects()
    resumed = cli("jobs", "resume", job["id"])
    assert resumed.code == 0, resumed.err
    assert assert_whole(cli.directory / "out") == FILES
    assert litter(cli.directory / "out") == []


def test_job_paused_by_somebody_else_ends_the_run_with_its_own_exit_code(
    cli: Cli, long_job: Path
) -> None:
    assert long_job.exists()
    terminal = Terminal(cli, *COMMAND)
    terminal.wait_for(" %")
    (job,) = cli.ok("jobs", "list", "--json").objects()
    cli.ok("jobs", "pause", job["id"])
    shown = terminal.finish()
    assert terminal.code == 5, shown
    assert "paused" in shown


def test_bar_is_wiped_before_the_account(cli: Cli, data: Path) -> None:
    assert data.exists()
    terminal = Terminal(cli, "run", "data", "--to", "out", "-s", "compress")
    shown = terminal.finish()
    assert terminal.code == 0
    assert "completed in" in shown
    assert "━" not in shown.rsplit("\x1b[J", 1)[-1]
