"""`pravah.plan` and `pravah.run`: what a job would do, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from pravah.library.described import Keys, Path, Paths, Steps, job_spec
from pravah.library.job import Job
from pravah.library.session import opened, work

if TYPE_CHECKING:
    from pravah.jobs.preview import Preview


def plan(
    source: Paths | Mapping[str, Any] | None = None,
    to: Path | None = None,
    steps: Steps | None = None,
    *,
    spec: Path | Mapping[str, Any] | None = None,
    ledger: str | None = None,
    **keys: Unpack[Keys],
) -> Preview:
    """Tell what a job would do: lists, tries the first files, writes nothing.

    The arguments are those of `run`.

    Returns:
        `entries` and `size_bytes`, the first `outputs` and `problems`, what the `sample` of
        files did and what that lets expect (`predicted`); `to_dict()` gives the wire form.

    Raises:
        PravahError: whatever `run` would be refused for; `kind` and `hint` say what to do.

    >>> import pravah
    >>> pravah.plan("data/", to="out/", steps="compress").entries
    2
    """
    described = job_spec(source, to, steps, spec=spec, **keys)
    with opened(ledger) as application:
        return application.preview(described)


def run(
    source: Paths | Mapping[str, Any] | None = None,
    to: Path | None = None,
    steps: Steps | None = None,
    *,
    spec: Path | Mapping[str, Any] | None = None,
    new: bool = False,
    ledger: str | None = None,
    **keys: Unpack[Keys],
) -> Job:
    """Create a job and work on it here until it ends or pauses.

    The same call again goes on with a job that was interrupted. Files that fail raise nothing:
    the job's `status` is `failed` where they are more than `budget`, and `failures()` has why.

    Args:
        source: a directory, a file, a glob, a list of them, or the spec's section as a map.
        to: where outputs go; not needed for inspect steps, nor with `in_place=True`.
        steps: a step as the command line takes it (`"compress:gzip"`), a map of its parameters
            (`{"compress": {"level": 9}}`), or a list of these.
        spec: a job spec as a map, or the path of a YAML file; the other arguments win over it.
        new: start another job, even where an equal one is unfinished.
        ledger: a ledger's file or database URL in place of the settings'.
        keys: any other key of the spec: `include`, `overwrite`, `budget`, `results`, …

    Raises:
        SpecError: arguments that can't be used; nothing was begun.
        PravahError: whatever else keeps it from beginning; `kind` and `hint` say what to do.
        KeyboardInterrupt: Ctrl-C, once nothing is half-written; the job is paused.

    >>> import pravah
    >>> job = pravah.run("data/", to="out/", steps="compress:gzip", include=["*.csv"])
    >>> print(job.status, job.counts.done)
    completed 2
    >>> try:
    ...     pravah.run("data/", to="out/", steps="compres")
    ... except pravah.PravahError as error:
    ...     print(error.kind, "-", error)
    unknown_processor - unknown processor `compres`
    """
    from pravah.jobs.service import Reuse

    described = job_spec(source, to, steps, spec=spec, **keys)
    with opened(ledger) as application:
        application.start_runner()
        reuse = Reuse.NOTHING if new else Reuse.UNFINISHED
        job = application.jobs.create(described, reuse=reuse).job
        work(application, job.id)
        return Job(application.jobs.get(job.id), ledger)
