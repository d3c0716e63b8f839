"""What is read off a dead runner: of what it died, and what it worked on."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import pytest

from pravah.jobs import autopsy
from pravah.jobs.autopsy import Death, Note, Notebook


def test_notes_of_entries_in_flight_are_read_and_free_slots_are_not() -> None:
    notebook = Notebook()
    # Free, taken, being written, taken.
    slots = [(0, 9), (8, 3), ((1 << 64) - 1, 5), (11, 0)]
    os.pwrite(notebook.fd, b"".join(struct.pack("=QQ", *slot) for slot in slots), 0)
    assert notebook.read() == (Note(7, 3), Note(10, 0))
    notebook.close()


@pytest.mark.parametrize(
    ("code", "out_of_memory", "crashed", "killed"),
    [
        (-signal.SIGSEGV, False, True, False),
        (-signal.SIGABRT, False, True, False),
        (-signal.SIGKILL, True, True, False),
        (-signal.SIGKILL, False, False, True),
        (-signal.SIGTERM, False, False, True),
        (1, False, False, False),
    ],
)
def test_death_is_a_crash_only_where_it_was_witnessed(
    code: int, *, out_of_memory: bool, crashed: bool, killed: bool
) -> None:
    death = Death(code, "", out_of_memory)
    assert (death.crashed, death.killed) == (crashed, killed)


def test_kills_for_want_of_memory_are_counted_here_and_in_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, group = tmp_path / "vmstat", tmp_path / "memory.events"
    system.write_text("pgfault 77\noom_kill 2\n", "ascii")
    group.write_text("oom 9\noom_kill 3\noom_group_kill 4\n", "ascii")
    monkeypatch.setattr(autopsy, "_VMSTAT", system)
    monkeypatch.setattr(autopsy, "_cgroup_files", lambda: [group, tmp_path / "missing"])
    assert autopsy.out_of_memory_kills() == 5
