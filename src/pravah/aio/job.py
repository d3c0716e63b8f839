"""A job whose methods are awaited; everything is done by the library's `Job`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, final

from pravah.aio.threads import in_thread, items
from pravah.library.job import Job as Waiting

if TYPE_CHECKING:
    from pravah.library.results import Results
    from pravah.model.job import Counts
    from pravah.model.status import JobStatus

P = ParamSpec("P")
T = TypeVar("T")


def _telling(
    method: Callable[Concatenate[Waiting, P], T],
) -> Callable[Concatenate[Job, P], Coroutine[Any, Any, T]]:
    async def called(self: Job, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(lambda: method(self.waiting, *args, **kwargs))

    called.__doc__ = method.__doc__
    return called


def _changing(
    method: Callable[Concatenate[Waiting, P], Waiting],
) -> Callable[Concatenate[Job, P], Coroutine[Any, Any, Job]]:
    async def called(self: Job, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        await in_thread(lambda: method(self.waiting, *args, **kwargs))
        return self

    called.__doc__ = method.__doc__
    return called


@final
class Job:
    """A job in the ledger, as `pravah.Job`; what takes time is awaited."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting

    def __repr__(self) -> str:
        return repr(self.waiting)

    @property
    def id(self) -> str:
        """The id, `job_…`; ids sort by the time of their creation."""
        return self.waiting.id

    @property
    def name(self) -> str | None:
        """The name that the spec gives it."""
        return self.waiting.name

    @property
    def status(self) -> JobStatus:
        """Where it was at the last look."""
        return self.waiting.status

    @property
    def counts(self) -> Counts:
        """The books, as they were at the last look."""
        return self.waiting.counts

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed as a whole, or why Pravah has paused it."""
        return self.waiting.error

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return self.waiting.to_dict()

    def files(
        self, outcome: str | None = None, limit: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Give the account of each file in its wire form, for `async for`."""
        return items(self.waiting.files(outcome, limit))

    def results(self) -> Results:
        """Give what its inspect steps found; whoever reads from it waits."""
        return self.waiting.results()

    refresh = _changing(Waiting.refresh)
    wait = _changing(Waiting.wait)
    pause = _changing(Waiting.pause)
    cancel = _changing(Waiting.cancel)
    resume = _changing(Waiting.resume)
    retry = _changing(Waiting.retry)
    undo = _telling(Waiting.undo)
    delete = _telling(Waiting.delete)
    failures = _telling(Waiting.failures)
    report = _telling(Waiting.report)


def giving_job(call: Callable[P, Waiting]) -> Callable[P, Coroutine[Any, Any, Job]]:
    """Give a call of the library that gives a job as a coroutine function."""

    async def called(*args: P.args, **kwargs: P.kwargs) -> Job:
        return Job(await in_thread(lambda: call(*args, **kwargs)))

    called.__doc__ = call.__doc__
    return called
