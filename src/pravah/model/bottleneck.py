"""What a job waited for most: the one thing of which more would have made it faster.

The engine looks a hundred times a second at what its threads are at, and at the clocks of CPU and
disks; each task's summary holds the sums, so that a job's are theirs together, whoever worked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# Less than this, and what the engine did is not what the time went to.
_LEAST_SEEN_S = 0.3
# A CPU in use for so much of the time is what the work waits for: the rest is lost at borders.
_SATURATED = 0.85
# A limit that is waited for so much of the time is what holds a job up, however busy the CPUs are.
_MOSTLY = 0.5
# A limit of tasks of which so much is in use, all the time, holds a job up.
_FULL = 0.8
# What only waits because the spec says so.
_LIMITS = ("read_rate", "write_rate", "memory", "retrying")
# What uses CPU where it does not wait for a disk.
_COMPUTING = ("step", "reading", "writing", "publishing", "listing", "preparing", "verifying")

Summary = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Effort:
    """Sums over tasks, in seconds."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    cpu_quota_s: float = 0.0
    cpu_free_s: float = 0.0
    disk_busy_s: float = 0.0
    disk_seen_s: float = 0.0

    @classmethod
    def of(cls, summaries: Iterable[Summary]) -> Effort:
        """Add up what tasks tell."""
        seconds: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for summary in summaries:
            told = dict(summary.get("effort", {}))
            seconds.update(told.pop("seconds", {}))
            sums.update(told)
        names = [name for name in cls.__dataclass_fields__ if name != "seconds"]
        return cls(seconds, **{name: sums[name] for name in names})


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The name of it, and how much of each ceiling was reached; shares are of 1."""

    name: str
    # Of the CPU: how much of it was in use. Of all others: how much of the time they took.
    share: float
    # What the CPU was used for: a processor's name, or an activity such as `reading`.
    what: str | None
    cores: float
    cpu_share: float
    # The part of it that other programs, or other jobs, had.
    cpu_others_share: float
    disk_share: float | None
    seconds: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        form = asdict(self) | {"seconds": {k: round(v, 3) for k, v in self.seconds.items()}}
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in form.items()}


def bottleneck(
    effort: Effort, *, elapsed_s: float, tasks: int, tasks_limit: int | None
) -> Bottleneck:
    """Name what a job waited for most."""
    name, share, what = _named(effort, elapsed_s, tasks, tasks_limit)
    return Bottleneck(
        name=name,
        share=share,
        what=what,
        cores=_part(effort.cpu_quota_s, effort.wall_s),
        cpu_share=_cpu_share(effort),
        cpu_others_share=max(0.0, _cpu_share(effort) - _part(effort.cpu_s, effort.cpu_quota_s)),
        disk_share=_part(effort.disk_busy_s, effort.disk_seen_s) if effort.disk_seen_s else None,
        seconds=dict(sorted(effort.seconds.items(), key=lambda item: -item[1])),
    )


def keep_effort(summary: str, before: str | None) -> str:
    """Give a task's new summary with the effort that its last one tells of."""
    told = json.loads(before or "{}").get("effort")
    return json.dumps({**json.loads(summary), "effort": told}) if told else summary


def _named(
    effort: Effort, elapsed_s: float, tasks: int, tasks_limit: int | None
) -> tuple[str, float, str | None]:
    total_s = sum(effort.seconds.values())
    if effort.wall_s < _LEAST_SEEN_S or not total_s:
        return "start_up", 1.0 - min(1.0, _part(effort.wall_s, elapsed_s)), None
    top, top_s = max(effort.seconds.items(), key=lambda item: item[1])
    top_share = top_s / total_s
    if top in _LIMITS and top_share >= _MOSTLY:
        return top, top_share, None
    computing = [name for name in effort.seconds if name.partition(":")[0] in _COMPUTING]
    own_share = _part(effort.cpu_s, effort.cpu_quota_s)
    used_up = _cpu_share(effort) >= _SATURATED and top in computing
    if computing and (own_share >= _SATURATED or used_up):
        most = max(computing, key=lambda name: effort.seconds[name])
        return "cpu", _cpu_share(effort), most.removeprefix("step:")
    at_once = total_s - effort.seconds.get("listing", 0.0)
    if tasks_limit and tasks > tasks_limit and at_once >= _FULL * tasks_limit * elapsed_s:
        return "tasks", min(1.0, at_once / (tasks_limit * elapsed_s)), None
    if top.startswith("step:"):
        return "cpu", _cpu_share(effort), top.removeprefix("step:")
    return top, top_share, None


def _cpu_share(effort: Effort) -> float:
    """Give the part of the CPU that nobody could have had any more."""
    return 1.0 - _part(effort.cpu_free_s, effort.cpu_quota_s) if effort.cpu_quota_s else 0.0


def _part(some: float, whole: float) -> float:
    return some / whole if whole else 0.0
