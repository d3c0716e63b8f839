"""The exit codes: one table, the same for every command."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from pravah.errors import STORE_HINTS


class ExitCode(IntEnum):
    """What a command's exit code says; each comment names who sees it."""

    OK = 0  # everything went well; failed files within the budget too
    FILES_FAILED = 1  # more files failed than the budget allows, or a scan met something unreadable
    USAGE = 2  # the command line or the spec is wrong; nothing was begun
    NOT_FOUND = 3  # no such source, job or group
    NOT_ALLOWED = 4  # the status or the permissions forbid it
    STOPPED = 5  # the job was cancelled or paused by somebody else
    NOTHING_MATCHED = 6  # only with --fail-if-empty
    UNREACHABLE = 7  # the ledger or a store could not be reached
    BUG = 70  # a bug of ours (EX_SOFTWARE of sysexits.h)
    INTERRUPTED = 130  # Ctrl-C or SIGTERM; the job is paused
    BROKEN_PIPE = 141  # the reader of stdout went away, as `head` does


_BY_STATUS = {
    "completed": ExitCode.OK,
    "failed": ExitCode.FILES_FAILED,
    "cancelled": ExitCode.STOPPED,
    "paused": ExitCode.STOPPED,
}


def of_job(job: Mapping[str, Any]) -> ExitCode:
    """Give the exit code of a command that followed this job until it stopped."""
    if job["status"] == "paused" and job.get("error"):
        return ExitCode.FILES_FAILED  # nobody asked for it: the failure budget did
    if job["status"] == "failed" and (job.get("error") or {}).get("kind") in STORE_HINTS:
        return ExitCode.UNREACHABLE
    return _BY_STATUS.get(str(job["status"]), ExitCode.OK)
