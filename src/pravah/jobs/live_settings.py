"""Changes of a job while it is worked on: its priority, its limits, what failures do to it.

Everything else of a spec decides what the outputs are, and is another job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pravah.errors import SpecError
from pravah.jobs.planner import live_keys
from pravah.model.job import Job
from pravah.model.ledger import Change
from pravah.model.spec import JobSpec

_SECTIONS = ("limits", "on_error")
# The engine takes its memory once, when its process begins.
_FIXED = ("limits.memory",)


def changed(job: Job, settings: Mapping[str, Any]) -> Change:
    """Give a job with settings such as `{"limits": {"tasks": 2}}` in place of those it has."""
    merged = dict(job.spec)
    for key, value in settings.items():
        _refuse_fixed(key, value)
        merged[key] = {**merged.get(key, {}), **value} if key in _SECTIONS else value
    spec = JobSpec.parse(merged)
    form = spec.to_dict()
    return Change(
        spec=form,
        plan={**job.plan, **live_keys(spec)},
        priority=spec.priority,
        tasks_limit=spec.limits.tasks,
        detail=dict(settings),
    )


def _refuse_fixed(key: str, value: object) -> None:
    named = [f"{key}.{name}" for name in value] if isinstance(value, Mapping) else [key]
    for name in named or [key]:
        section = name.partition(".")[0]
        free = name == "priority" or (section in _SECTIONS and "." in name)
        if not free or name in _FIXED:
            raise SpecError(
                f"can't change `{name}` of a job",
                hint="priority, limits and on_error can change; the rest is another job: `--new`",
            )
