"""One try of a task: what the runner is told of it, and what its records do to the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pravah.errors import EngineError
from pravah.jobs import fingerprints
from pravah.jobs.planner import pipeline_hash
from pravah.jobs.suspicion import FATAL_DEATHS, poisoned
from pravah.model.job import Job
from pravah.model.ledger import (
    Emission,
    Lease,
    Ledger,
    NewTask,
    Purpose,
    Release,
    TaskCounts,
    TaskKind,
    Verdict,
    WindowRecord,
)
from pravah.model.uri import shown_uri
from pravah.runner.frames import Message
from pravah.tracing import Trace

Record = Mapping[str, Any]

# As many as two workers have slots for: the one that held the task, and the one that asked.
_PARTS = 4


@dataclass(slots=True)
class Attempt:
    """A leased task that the runner works on."""

    call: int
    lease: Lease
    alone: bool = False
    # When it was asked to begin nothing new.
    drained_s: float | None = None
    progressed: bool = False
    finished: bool = False
    # It ends with what it has begun; the rest of its task becomes several.
    shared: bool = False
    # Acknowledged entries of the task and their bytes, as it told them last.
    counts: Mapping[str, int] = field(default_factory=dict)
    begun_s: float = field(default_factory=time.monotonic)
    # How far the call was when it last got on, and when that was seen.
    moved: int = -1
    moved_s: float = field(default_factory=time.monotonic)
    # What its span hangs from; None where nobody wants spans.
    trace: Trace | None = None

    @property
    def draining(self) -> bool:
        """Whether it was asked to begin nothing new."""
        return self.drained_s is not None

    def drain(self) -> None:
        """Note that it was asked to."""
        self.drained_s = self.drained_s or time.monotonic()


def opening(ledger: Ledger, job: Job, attempt: Attempt) -> Iterator[Message]:
    """Give the frames that begin an attempt, with all that the ledger knows of its task."""
    if attempt.lease.purpose == Purpose.WORK:
        _refuse_other_pipeline(job)
    beginning: dict[str, Any] = {"call": attempt.call, "plan": json.dumps(job.plan)}
    if attempt.lease.kind != TaskKind.SCAN:
        task = _task(ledger, job, attempt.lease)
        yield {"type": "task", **beginning, "task": task}
        return
    unit = ledger.unit(attempt.lease)
    for manifest in _known(ledger, attempt.lease, unit):
        yield {"type": "known", "call": attempt.call, "manifest": manifest}
    yield {"type": "scan", **beginning, "unit": unit}


def commit(ledger: Ledger, attempt: Attempt, message: Message) -> Verdict:
    """Write a record of an attempt into the ledger."""
    record: Record = message["record"]
    if message["type"] == "tasks":
        verdict, is_intent = ledger.emit(attempt.lease, _emission(record)), False
    else:
        verdict, is_intent = ledger.commit_window(attempt.lease, _window(record)), record["intent"]
    if verdict is not Verdict.FENCED:
        attempt.progressed = attempt.progressed or not is_intent
        attempt.counts = record["counts"]
        attempt.finished = record["finished"]
    return verdict


def split(ledger: Ledger, job: Job, attempt: Attempt) -> Verdict:
    """Make tasks of what an attempt has not begun; give it back where that is too little."""
    from pravah import engine

    blobs = ledger.load(attempt.lease)
    moved = engine.split(json.dumps(job.plan), blobs, _PARTS)
    if moved is None:
        return ledger.release(attempt.lease, Release.CLEAN)
    return ledger.split(attempt.lease, moved)


def located(error: Mapping[str, str], job: Job) -> dict[str, str]:
    """Give an error of a whole task with the path that it is about: the core leaves that to us."""
    message, roots, sink = error["message"], job.plan["roots"], job.plan["sink"]
    if sink is not None and not job.plan.get("in_place"):
        message = message.replace("the sink", f"the sink `{shown_uri(sink['uri'])}`", 1)
    if len(roots) == 1:
        message = message.replace("the source", f"the source `{shown_uri(roots[0]['uri'])}`", 1)
    return {"kind": error["kind"], "message": message}


def _refuse_other_pipeline(job: Job) -> None:
    """Refuse to go on where another release began: one job's outputs come from one pipeline."""
    if pipeline_hash(job.plan["steps"]) != job.plan["pipeline_hash"]:
        raise EngineError(
            "the job was begun with other versions of its steps than this release has",
            kind="pipeline_changed",
            hint="start it again with `--new`: outputs that are known are replaced",
        )


def _known(ledger: Ledger, lease: Lease, unit: bytes | None) -> Iterator[bytes]:
    """Give the entries of directories that were emitted in part: these come no second time."""
    # Loads the core; commands that only ask about jobs get by without.
    from pravah import engine

    if unit is None:
        return
    last = engine.look_back(unit)
    every = (task.manifest for task in ledger.blobs(lease.job_id))
    for manifest in every if last is None else ledger.emitted(lease, last):
        known = engine.known_in(unit, manifest)
        if known is not None:
            yield known


def _task(ledger: Ledger, job: Job, lease: Lease) -> dict[str, Any]:
    from pravah import engine

    blobs = ledger.load(lease)
    return {
        "id": lease.task_id,
        "counter": lease.counter,
        "manifest": blobs.manifest,
        "windows": engine.window_dicts(blobs.windows),
        "unclean": lease.unclean,
        "fingerprints": fingerprints.concerning(ledger, job, lease, blobs.manifest),
        "settle": lease.purpose == Purpose.SETTLE,
        "suspects": [i for i, s in lease.suspects.items() if s.deaths < FATAL_DEATHS],
        "poisoned": poisoned(lease.suspects),
        "deaths": lease.deaths,
        "kernel_leases": ledger.kernel_leases,
        # What earlier attempts took counts too.
        "effort": json.dumps(json.loads(blobs.summary or "{}").get("effort", {})),
    }


def _emission(record: Record) -> Emission:
    tasks = [NewTask(m["blob"], m["entries"], m["bytes"]) for m in record["manifests"]]
    filtered = record["counts"].get("filtered", 0)
    return Emission(
        tasks,
        filtered,
        record["reasons"],
        record["finished"],
        effort=json.loads(record["effort"]),
        frontier=record["frontier"],
        units=record["units"],
    )


def _window(record: Record) -> WindowRecord:
    return WindowRecord(
        window=record["window"],
        acknowledge=record["acknowledge"],
        amendments=record["amendments"],
        fingerprints=[(directory, blob) for directory, blob in record["fingerprints"]],
        counts=TaskCounts(**record["counts"]),
        summary=record["summary"],
        finished=record["finished"],
        intent=record["intent"],
    )
