"""What the ledger knows of one file: the jobs that listed it, or that made it.

There is no row per file, so tasks are looked through: the manifests of those jobs only that have
the path below a root or a sink.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pravah.model.job import Job
from pravah.model.ledger import JobFilter, Ledger
from pravah.model.uri import NULL, is_object_uri, uri_path

# Jobs read at once.
_PAGE = 100


class End(StrEnum):
    """From which end a file is asked about."""

    SOURCE = "source"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Mention:
    """A job that knows the file, and the file's line in its account.

    An output may be made of several files: then this is the first one, and `inputs` tells how many.
    """

    job: dict[str, Any]
    file: dict[str, Any]
    inputs: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return {"job": self.job, "file": self.file, "inputs": self.inputs}


def story(
    ledger: Ledger, path: bytes, end: End, jobs: int, team: str | None = None
) -> Iterator[Mention]:
    """Give each of the latest jobs, or of a team's, that knows a file; looks into so many."""
    from pravah import engine

    paths, looked = _spellings(path), 0
    for job in _latest(ledger, JobFilter(team)):
        near = [each for each in paths if _concerns(job, each, end)]
        if not near:
            continue
        if looked == jobs:
            return
        looked += 1
        plan = json.dumps(job.plan)
        for task in ledger.blobs(job.id):
            answers = (engine.answer(plan, task, end, each) for each in near)
            if lines := next(filter(None, answers), None):
                yield Mention(_short_form(job), json.loads(lines[0]), len(lines))
                break


def _spellings(path: bytes) -> list[bytes]:
    """Give the forms that plans have of a path, by how their sources were named; one of a key."""
    if is_object_uri(os.fsdecode(path)):
        return [path]
    # As it is written, and where links lead to.
    return list(dict.fromkeys((os.path.abspath(path), os.path.realpath(path))))  # noqa: PTH100


def _latest(ledger: Ledger, chosen: JobFilter) -> Iterator[Job]:
    before: str | None = None
    while page := ledger.jobs(None, _PAGE, before, chosen):
        yield from page
        before = page[-1].id


def _concerns(job: Job, path: bytes, end: End) -> bool:
    sink = job.plan["sink"]
    if end is End.SOURCE:
        uris = [root["uri"] for root in job.plan["roots"]]
    else:
        uris = [sink["uri"]] if sink is not None and sink["uri"] != NULL else []
    return any(path.startswith(uri_path(uri).rstrip(b"/") + b"/") for uri in uris)


def _short_form(job: Job) -> dict[str, Any]:
    form = job.to_dict()
    return {key: form[key] for key in ("id", "name", "status", "created_at", "finished_at")}
