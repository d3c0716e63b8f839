"""Events as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from pravah.cli.jobs.logs import told
from pravah.model.job import Event
from pravah.model.status import TRANSITIONS


def event(happened: str, /, **detail: Any) -> Event:
    return Event(1, "01J", 0, happened, detail)


@pytest.mark.parametrize(
    ("happened", "sentence"),
    [
        (event("job_start", worker="01W"), "job started by worker 01W"),
        (
            event("task_claim", task=3, worker="01W", kind="entries"),
            "task 3 claimed (entries) by worker 01W",
        ),
        (
            event("task_release", task=3, how="died", suspects=2),
            "task 3 given back: its worker or process is gone; 2 of its entries suspected",
        ),
        (event("task_release", task=3, how="clean"), "task 3 given back"),
        (
            event("task_complete", task=3, counts={"done": 1200, "bytes_in": 5}),
            "task 3 completed: 1,200 done, 5 B in",
        ),
        (event("task_complete", task=3, split=2), "task 3 completed: what is left became 2 tasks"),
        (
            event("task_fail", task=3, error={"kind": "io_error", "message": "no"}),
            "task 3 failed: io_error: no",
        ),
        (
            event("job_complete", counts={"listed": 3, "done": 2, "failed": 1, "skipped": 0}),
            "job completed: 3 listed, 2 done, 1 failed (`pravah jobs failures job_01J` tells why)",
        ),
        (
            event("pause_requested", kind="sink_full", message="full"),
            "pause asked for: sink_full: full",
        ),
        (event("job_changed", limits={"tasks": 2}), "job changed  limits.tasks=2"),
        (event("tasks_cancelled", tasks=4), "what is left is cancelled  tasks=4"),
        (event("something_new", a=1), "something new  a=1"),
    ],
)
def test_event_is_told_as_a_sentence(happened: Event, sentence: str) -> None:
    assert told(happened) == sentence


def test_each_transition_has_words_of_its_own() -> None:
    kinds = {f"{row.subject}_{row.name}" for row in TRANSITIONS}
    sentences = {told(event(kind, task=1)) for kind in kinds}
    assert len(sentences) == len(kinds)
    assert not any("_" in sentence for sentence in sentences)
