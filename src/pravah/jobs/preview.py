"""What a job would do: everything is listed, the first files are tried, nothing is written.

The scan and the sample run in this process on the real engine, the sample with a sink that keeps
nothing; so what is shown is what the job will do, not a second opinion.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pravah import engine
from pravah.errors import NotFoundError
from pravah.jobs import name_list, planner
from pravah.jobs.access import check_access, free_bytes
from pravah.jobs.dataset_place import check_place
from pravah.model.budget import tolerates
from pravah.model.ids import new_id
from pravah.model.ledger import TaskBlobs, Window
from pravah.model.spec import JobSpec
from pravah.model.uri import NULL
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.jobs.service import JobService

# Long enough for a rate, short enough to wait for.
SAMPLE_S = 5.0
_FIRST_OUTPUTS = 3
_FIRST_PROBLEMS = 20
# Outcomes of a file that was looked at.
_TRIED = ("done", "skipped", "failed", "vanished", "poisoned")


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of the first files."""

    tried: int
    files: int
    bytes_in: int
    bytes_out: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What a job would do."""

    spec: JobSpec
    entries: int
    size_bytes: int
    filtered: int
    listed_in_s: float
    # The first files, each with its first output.
    firsts: list[tuple[str, str]]
    # Directories that can't be read, and files of the sample that fail.
    unreadable: int
    failed: int
    problems: list[dict[str, Any]]
    sample: Sample | None
    # Of the file system that takes the outputs; None where none does.
    free_bytes: int | None
    # Whether there are outputs, and not findings alone.
    publishes: bool
    # How many there are, where they are made of several files each.
    output_count: int | None

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return {
            "spec": self.spec.to_dict(),
            "entries": self.entries,
            "bytes": self.size_bytes,
            "filtered": self.filtered,
            "listed_in_s": round(self.listed_in_s, 3),
            "unreadable": self.unreadable,
            "failed": self.failed,
            "first": [{"source": source, "output": output} for source, output in self.firsts],
            "outputs": self.outputs,
            "output_count": self.output_count,
            "problems": self.problems,
            "predicted": self.predicted,
            "free_bytes": self.free_bytes,
            "publishes": self.publishes,
            "sample": self.sample
            and {
                "tried": self.sample.tried,
                "files": self.sample.files,
                "bytes_in": self.sample.bytes_in,
                "bytes_out": self.sample.bytes_out,
                "duration_s": round(self.sample.duration_s, 3),
            },
        }

    @property
    def outputs(self) -> list[str]:
        """URIs of the first outputs."""
        return [output for _, output in self.firsts]

    @property
    def within_budget(self) -> bool:
        """Tell whether a job in which as many fail as in the sample would be completed."""
        tried = self.unreadable + (self.sample.tried if self.sample else 0)
        budget = self.spec.on_error.budget
        return tolerates(budget, self.unreadable + self.failed, tried)

    @property
    def predicted(self) -> dict[str, Any] | None:
        """Extrapolate the sample; None where it was too small to tell anything."""
        sample = self.sample
        if sample is None or not sample.bytes_in or not sample.files:
            return None
        # Small files cost by their number, large ones by their bytes: the larger share decides.
        share = max(self.size_bytes / sample.bytes_in, self.entries / sample.files)
        return {
            "duration_s": round(sample.duration_s * share, 3),
            "output_bytes": round(self.size_bytes * sample.bytes_out / sample.bytes_in),
        }


@dataclass(slots=True)
class _Listing:
    """Gathers what the scan emits; of the manifests only the first is kept.

    Where names depend on all that is listed, they are compared as the job would; where files are
    put together, they are so here.
    """

    entries: int = 0
    size_bytes: int = 0
    filtered: int = 0
    unreadable: int = 0
    first: bytes | None = None
    # What is still to be listed; None: what the job names.
    units: list[bytes | None] = field(default_factory=lambda: [None])
    check: engine.NameCheck | None = None
    grouping: engine.Grouping | None = None
    output_count: int | None = None
    tasks: int = 0

    def take(self, record: Mapping[str, Any]) -> engine.Verdict:
        for manifest in record["manifests"]:
            self.first = self.first or manifest["blob"]
            self.tasks += 1
            if self.check is not None:
                self.check.add(TaskBlobs(self.tasks, manifest["blob"], [], None))
            if self.grouping is not None:
                self.grouping.add(manifest["blob"])
            self.entries += manifest["entries"]
            self.size_bytes += manifest["bytes"]
        self.units += record["units"]
        if record["finished"]:  # counts are of the whole unit
            self.filtered += record["counts"].get("filtered", 0)
            self.unreadable += record["counts"].get("failed", 0)
        return "committed"

    def named(self) -> bytes | None:
        """Give the first manifest with what was decided about its names."""
        if self.grouping is not None:
            groups = self.grouping.finish()
            self.output_count = groups.outputs
            return next((task.manifest for task in groups()), None)
        if self.first is None or self.check is None:
            return self.first
        return self.first + dict(islice(self.check.finish()(), 1)).get(1, b"")


@dataclass(slots=True)
class _Trial:
    """Gathers what the sample did, as a ledger would."""

    windows: list[Window] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)

    def take(self, record: Mapping[str, Any]) -> engine.Verdict:
        if record["acknowledge"]:
            last = self.windows[-1]
            self.windows[-1] = Window(last.blob, record["amendments"], acknowledged=True)
        if record["window"] is not None:
            self.windows.append(Window(record["window"], None, acknowledged=False))
        self.counts = record["counts"]
        return "committed"


def preview(
    spec: JobSpec, *, threads: int | None = None, jobs: JobService | None = None
) -> Preview:
    """List, sample and predict; SpecError and its like where the job would be refused.

    Names that come from another job are asked of `jobs`.
    """
    if jobs is not None:
        spec = name_list.with_roots(spec, jobs.get)
    planned = planner.plan(spec, os.fsencode(Path.cwd()), new_id())
    engine.check_steps(planned.plan["steps"])
    engine.check_filters(planned.plan["filter"], planned.globs)
    engine.check_names(planned.plan)
    check_access(planned.plan)
    check_place(planned.spec, ())
    started = engine.Engine(threads=threads, memory_bytes=spec.limits.memory)
    with tempfile.TemporaryDirectory() as scratch:
        listing, began_s = _Listing(), time.monotonic()
        plan = json.dumps(planned.plan)
        reduces = registry().reduces(planned.plan["steps"])
        if reduces:
            listing.grouping = engine.Grouping(plan, os.fsencode(scratch))
        elif engine.names_wait(planned.plan):
            listing.check = engine.NameCheck(plan, os.fsencode(scratch))
        accounts = jobs.files if jobs is not None else _no_accounts
        with name_list.read(planned.spec, planned.plan, accounts, Path(scratch)) as units:
            listing.units = [None] if units is None else list(units)
        with engine.translated():
            while listing.units:
                unit = listing.units.pop()
                started.run_scan(plan, unit, [], engine.Control(started), listing.take)
        listed_in_s = time.monotonic() - began_s
        first = listing.named()
    sample, lines = None, list[dict[str, Any]]()
    if first is not None:
        sample, lines = _try(started, planned.plan, first)
    return Preview(
        spec=planned.spec,
        entries=listing.entries,
        size_bytes=listing.size_bytes,
        filtered=listing.filtered,
        listed_in_s=listed_in_s,
        firsts=list(islice(_firsts(lines), _FIRST_OUTPUTS)),
        unreadable=listing.unreadable,
        failed=sum(1 for line in lines if line.get("error")),
        problems=[_problem(line) for line in lines if line.get("error")][:_FIRST_PROBLEMS],
        sample=sample,
        free_bytes=free_bytes(planned.plan),
        publishes=planned.plan["sink"] is not None,
        output_count=listing.output_count,
    )


def _no_accounts(job: str, _outcome: str | None) -> list[bytes]:
    raise NotFoundError(f"no ledger to look for the job `{job}` in", kind="job_not_found")


def _try(
    started: engine.Engine, plan: dict[str, Any], manifest: bytes
) -> tuple[Sample, list[dict[str, Any]]]:
    """Run the first task into a sink that keeps nothing."""
    sink = {**plan["sink"], "uri": NULL} if plan["sink"] else None
    if sink is not None and not registry().reduces(plan["steps"]):
        sink["only"] = None
    task: engine.Task = {
        "id": 0,
        "counter": 1,
        "manifest": manifest,
        "windows": [],
        "unclean": False,
        "fingerprints": [],
        "settle": False,
        "suspects": [],
        "poisoned": [],
        "deaths": 0,
        "kernel_leases": True,
        "effort": "",
    }
    trial, control, began_s = _Trial(), engine.Control(started), time.monotonic()
    timer = threading.Timer(SAMPLE_S, control.drain)
    timer.start()
    try:
        with engine.translated():
            started.run_task(
                json.dumps({**plan, "sink": sink, "in_place": False}), task, control, trial.take
            )
    finally:
        timer.cancel()
    took_s = time.monotonic() - began_s
    blobs = TaskBlobs(0, manifest, trial.windows, None)
    text = engine.files(json.dumps(plan), blobs, None, None)
    counts = trial.counts
    tried = sum(counts[outcome] for outcome in _TRIED)
    sample = Sample(tried, counts["done"], counts["bytes_in"], counts["bytes_out"], took_s)
    return sample, [json.loads(line) for line in text.splitlines()]


def _firsts(lines: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Give sources with outputs, each output once."""
    firsts: dict[str, str] = {}
    for line in lines:
        for output in line["outputs"]:
            firsts.setdefault(output, line["path"])
    return ((path, output) for output, path in firsts.items())


def _problem(line: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": line["path"], **line["error"]}
