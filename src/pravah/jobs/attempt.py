"""One try of a task: what the runner is told of it, and what its records do to the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pravah import engine
from pravah.model.job import Job
from pravah.model.ledger import (
    Emission,
    Lease,
    Ledger,
    NewTask,
    Purpose,
    TaskCounts,
    TaskKind,
    Verdict,
    WindowRecord,
)
from pravah.runner.frames import Message

Record = Mapping[str, Any]


@dataclass(slots=True)
class Attempt:
    """A leased task that the runner works on."""

    call: int
    lease: Lease
    alone: bool = False
    draining: bool = False
    progressed: bool = False
    finished: bool = False


def opening(ledger: Ledger, job: Job, attempt: Attempt) -> Message:
    """Give the frame that begins an attempt, with all that the ledger knows of its task."""
    plan = json.dumps(job.plan)
    if attempt.lease.kind == TaskKind.SCAN:
        return {
            "type": "scan",
            "call": attempt.call,
            "plan": plan,
            "known": _known(ledger, job),
        }
    return {
        "type": "task",
        "call": attempt.call,
        "plan": plan,
        "task": _task(ledger, job, plan, attempt.lease),
    }


def commit(ledger: Ledger, attempt: Attempt, message: Message) -> Verdict:
    """Write a record of an attempt into the ledger."""
    record: Record = message["record"]
    if message["type"] == "tasks":
        verdict = ledger.emit(attempt.lease, _emission(record))
    else:
        verdict = ledger.commit_window(attempt.lease, _window(record))
    if verdict is not Verdict.FENCED:
        attempt.progressed = True
        attempt.finished = record["finished"]
    return verdict


def _known(ledger: Ledger, job: Job) -> list[bytes]:
    """Give the manifests of earlier attempts of a scan: what they list is not listed again."""
    tasks = ledger.blobs(job.id)
    return [engine.still_here(task) if job.round > 1 else task.manifest for task in tasks]


def _task(ledger: Ledger, job: Job, plan: str, lease: Lease) -> dict[str, Any]:
    blobs = ledger.load(lease)
    sink = job.plan.get("sink")
    fingerprints = []
    if sink and sink["overwrite"] == "changed" and sink["uri"] != "null:":
        directories = engine.manifest_directories(plan, blobs.manifest)
        fingerprints = ledger.fingerprints(lease, directories)
    return {
        "id": lease.task_id,
        "counter": lease.counter,
        "manifest": blobs.manifest,
        "windows": engine.window_dicts(blobs.windows),
        "unclean": lease.unclean,
        "fingerprints": fingerprints,
        "settle": lease.purpose == Purpose.SETTLE,
    }


def _emission(record: Record) -> Emission:
    tasks = [NewTask(m["blob"], m["entries"], m["bytes"]) for m in record["manifests"]]
    filtered = record["counts"].get("filtered", 0)
    return Emission(tasks, filtered, record["reasons"], record["finished"])


def _window(record: Record) -> WindowRecord:
    return WindowRecord(
        window=record["window"],
        acknowledge=record["acknowledge"],
        amendments=record["amendments"],
        fingerprints=[(directory, blob) for directory, blob in record["fingerprints"]],
        counts=TaskCounts(**record["counts"]),
        summary=record["summary"],
        finished=record["finished"],
    )
