"""What a job waited for most, told from sums."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pravah.model.bottleneck import Bottleneck, Effort, bottleneck, keep_effort


def effort(seconds: dict[str, float], *, own: float = 0.2, others: float = 0.0) -> Effort:
    """Give ten seconds on two CPUs, of which this process and others used such parts."""
    return Effort(
        seconds=seconds,
        wall_s=10.0,
        cpu_s=20.0 * own,
        cpu_quota_s=20.0,
        cpu_free_s=20.0 * (1.0 - own - others),
        disk_busy_s=3.1,
        disk_seen_s=10.0,
    )


def named(seconds: dict[str, float], **keys: Any) -> Bottleneck:
    given = {"elapsed_s": 10.0, "tasks": 1, "tasks_limit": None}
    parts = {name: keys.pop(name) for name in ("own", "others") if name in keys}
    return bottleneck(effort(seconds, **parts), **{**given, **keys})


def test_cpu_that_is_used_up_is_named_with_the_step_that_used_it() -> None:
    found = named({"step:compress": 7.0, "reading": 2.0, "syncing": 1.0}, own=0.97)
    assert (found.name, found.what, found.cores) == ("cpu", "compress", 2.0)
    assert found.share == pytest.approx(0.97)
    assert found.disk_share == pytest.approx(0.31)
    assert found.cpu_others_share == pytest.approx(0.0)


def test_cpu_that_others_take_is_named_and_their_part_told() -> None:
    found = named({"step:compress": 7.0, "reading": 2.0}, own=0.55, others=0.42)
    assert (found.name, found.what) == ("cpu", "compress")
    assert found.cpu_others_share == pytest.approx(0.42)


def test_step_that_has_one_cpu_only_is_named_with_what_it_reached() -> None:
    found = named({"step:compress": 9.0, "reading": 1.0}, own=0.5)
    assert (found.name, found.what, found.share) == ("cpu", "compress", 0.5)


@pytest.mark.parametrize("waited", ["syncing", "ledger", "reading", "writing", "listing"])
def test_what_is_waited_for_most_is_named_where_cpu_is_left(waited: str) -> None:
    found = named({waited: 6.0, "step:compress": 4.0})
    assert (found.name, found.share) == (waited, 0.6)


@pytest.mark.parametrize("limit", ["read_rate", "write_rate", "memory"])
def test_limit_is_named_even_where_others_use_up_the_cpu(limit: str) -> None:
    assert named({limit: 6.0, "step:compress": 4.0}, others=0.8).name == limit


def test_disk_is_named_where_others_use_up_the_cpu_but_syncs_are_waited_for() -> None:
    assert named({"syncing": 6.0, "step:compress": 4.0}, others=0.8).name == "syncing"


def test_limit_of_tasks_is_named_where_it_is_reached_all_the_time() -> None:
    seconds = {"syncing": 6.0, "step:compress": 4.0}
    assert named(seconds, tasks=5, tasks_limit=1).name == "tasks"
    assert named(seconds, tasks=1, tasks_limit=1).name == "syncing"
    assert named(seconds, tasks=5, tasks_limit=2).name == "syncing"


def test_job_that_did_next_to_nothing_spent_its_time_on_starting() -> None:
    found = bottleneck(Effort(), elapsed_s=0.4, tasks=2, tasks_limit=None)
    assert (found.name, found.share, found.disk_share) == ("start_up", 1.0, None)


def test_efforts_of_tasks_add_up_whoever_worked() -> None:
    one = {"effort": {"seconds": {"reading": 1.0, "ledger": 0.5}, "wall_s": 2.0, "cpu_s": 1.0}}
    two = {"effort": {"seconds": {"reading": 3.0}, "wall_s": 4.0}}
    summed = Effort.of([one, {"reasons": {}}, two])
    assert dict(summed.seconds) == {"reading": 4.0, "ledger": 0.5}
    assert (summed.wall_s, summed.cpu_s, summed.disk_seen_s) == (6.0, 1.0, 0.0)


def test_effort_of_a_task_outlives_what_a_split_or_a_retry_leaves_of_it() -> None:
    before = json.dumps({"reasons": {"a": 1}, "effort": {"wall_s": 2.0}})
    assert json.loads(keep_effort('{"reasons": {}}', before)) == {
        "reasons": {},
        "effort": {"wall_s": 2.0},
    }
    assert keep_effort('{"reasons": {}}', None) == '{"reasons": {}}'


def test_wire_form_is_rounded_and_has_each_ceiling() -> None:
    form = named({"step:compress": 1 / 3}, own=0.9).to_dict()
    assert form["seconds"] == {"step:compress": 0.333}
    assert {"name", "share", "what", "cores", "cpu_share", "disk_share"} <= set(form)
