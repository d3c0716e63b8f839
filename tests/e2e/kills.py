"""Ways to kill a job: by the clock, by its outputs, at a named point, or at a system call.

Every way ends with a `kill -9`; none lets the process clean up. A way that came too late (the
job had ended) says so, and is tried again earlier, so that each round of a sweep is a real kill.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Self

from tests.e2e.cli.harness import Cli

POLL_S = 0.002
# Only the calls that are asked for stop: a job under strace takes little longer than without.
STRACE = ("strace", "-f", "--seccomp-bpf", "-qq")

# Where outputs are created, made durable, published and removed, and where the ledger is written.
SYSTEM_CALLS = (
    "fdatasync",
    "fsync",
    "linkat",
    "mkdirat",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "syncfs",
    "unlink",
    "unlinkat",
)


class Victim(Enum):
    """Which process a timed kill goes to."""

    RUNNER = "runner"
    SUPERVISOR = "supervisor"
    GROUP = "group"


@dataclass(frozen=True)
class AtTime:
    """Kill so many seconds after the start."""

    victim: Victim
    after_s: float

    def earlier(self) -> Self:
        """Give the same kill, sooner."""
        return replace(self, after_s=self.after_s / 2)


@dataclass(frozen=True)
class AtProgress:
    """Kill as soon as so many outputs are published, which is in the middle of publishing more."""

    victim: Victim
    outputs: int
    published: Callable[[], int] = field(default=int, compare=False, repr=False)

    def over(self, published: Callable[[], int]) -> Self:
        """Give the same kill for a run whose outputs this counts."""
        return replace(self, published=published)

    def earlier(self) -> Self:
        """Give the same kill, sooner."""
        return replace(self, outputs=max(1, self.outputs // 2))


@dataclass(frozen=True)
class AtFailpoint:
    """Kill the process that passes a named point for the nth time, and then the rest."""

    point: str
    passage: int

    def earlier(self) -> Self:
        """Give the same kill, sooner."""
        return replace(self, passage=max(1, self.passage // 2))


@dataclass(frozen=True)
class AtSystemCall:
    """Kill the process whose thread enters a system call for the nth time, and then the rest."""

    name: str
    passage: int

    def earlier(self) -> Self:
        """Give the same kill, sooner."""
        return replace(self, passage=max(1, self.passage // 2))


Kill = AtTime | AtProgress | AtFailpoint | AtSystemCall


def run_and_kill(cli: Cli, arguments: list[str], kill: Kill) -> bool:
    """Start a job, kill it, and say whether the kill came before its end."""
    more = {}
    prefix: list[str] = []
    if isinstance(kill, AtFailpoint):
        more["PRAVAH_FAILPOINTS"] = f"{kill.point}={kill.passage}"
    if isinstance(kill, AtSystemCall):
        inject = f"inject={kill.name}:signal=KILL:when={kill.passage}"
        prefix = [*STRACE, "-o", "/dev/null", "-e", f"trace={kill.name}", "-e", inject]
    process = subprocess.Popen(
        [*prefix, *cli.command(*arguments)],
        cwd=cli.directory,
        env=cli.env(more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if isinstance(kill, AtTime):
            time.sleep(kill.after_s)
            return _kill(process, kill.victim)
        if isinstance(kill, AtProgress):
            while process.poll() is None and kill.published() < kill.outputs:
                time.sleep(POLL_S)
            return _kill(process, kill.victim)
        return _kill_rest_after_first_death(process)
    finally:
        # Also where a check fails: nothing of the round may go on beside the next one.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _kill(process: subprocess.Popen[bytes], victim: Victim) -> bool:
    """Kill the victim, and say whether there still was one."""
    if process.poll() is not None:
        return False
    if victim is Victim.GROUP:
        os.killpg(process.pid, signal.SIGKILL)
        return True
    if victim is Victim.SUPERVISOR:
        process.kill()
        process.wait()
        _wait_for_death(process.pid)
        return True
    while process.poll() is None:
        if runner := _runner(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(runner, signal.SIGKILL)
                # The supervisor lives, and has to bring the job to its end by itself.
                process.wait()
                return True
        time.sleep(POLL_S)
    return False


def _kill_rest_after_first_death(process: subprocess.Popen[bytes]) -> bool:
    """Let the injection kill one process, then kill the others at once.

    Without that the injection would kill each new runner at the same place until the job failed.
    """
    runner = None
    while process.poll() is None:
        runner = runner or _runner(process.pid)
        if runner and not _is_alive(runner):
            os.killpg(process.pid, signal.SIGKILL)
            return True
        time.sleep(POLL_S)
    _wait_for_death(process.pid)
    return process.returncode != 0


def _runner(session: int) -> int | None:
    """Give the process id of the runner in a session, once there is one."""
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = Path("/proc", name, "stat").read_text()
            if int(stat.rpartition(")")[2].split()[3]) != session:
                continue
            if b"pravah.runner" in Path("/proc", name, "cmdline").read_bytes():
                return int(name)
    return None


def _is_alive(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def _wait_for_death(session: int, limit_s: float = 10) -> None:
    """Wait until a supervisor's runner has followed it; it must, without anybody's help."""
    deadline = time.monotonic() + limit_s
    while (runner := _runner(session)) and _is_alive(runner):
        assert time.monotonic() < deadline, f"runner {runner} outlived its supervisor"
        time.sleep(POLL_S)


def strace_works() -> bool:
    """Say whether this machine has strace and allows it to trace and to inject."""
    if shutil.which("strace") is None:
        return False
    trial = [*STRACE, "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"]
    return subprocess.run(trial, capture_output=True).returncode == 0


def system_calls_made(
    cli: Cli, arguments: list[str], log: Path, calls: Iterable[str] = SYSTEM_CALLS
) -> dict[str, int]:
    """Run a job; give each of these calls with the most that one thread made.

    Without strace the job runs all the same, and nothing is known of its calls.
    """
    traced = (*STRACE, "-o", str(log), "-e", f"trace={','.join(calls)}")
    ran = cli(*arguments, prefix=traced if strace_works() else ())
    assert ran.code in (0, 1), ran.err
    if not log.exists():
        return {}
    made = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    most: dict[str, int] = {}
    for (_, name), times in made.items():
        most[name] = max(times, most.get(name, 0))
    return most


def system_call(chance: random.Random, made: Mapping[str, int]) -> AtSystemCall:
    """Choose a system call that the job makes, and one of its passages."""
    name = chance.choice(sorted(made))
    return AtSystemCall(name, chance.randint(1, made[name]))
