"""A client whose methods are awaited; everything is done by the library's `Client`."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, final

from pravah.aio.job import Job
from pravah.aio.threads import in_thread
from pravah.library.client import Client as Waiting

if TYPE_CHECKING:
    from pravah.library.job import Job as WaitingJob

P = ParamSpec("P")
T = TypeVar("T")


def _telling(
    method: Callable[Concatenate[Waiting, P], T],
) -> Callable[Concatenate[Client, P], Coroutine[Any, Any, T]]:
    async def called(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(lambda: method(self.waiting, *args, **kwargs))

    called.__doc__ = method.__doc__
    return called


def _giving_job(
    method: Callable[Concatenate[Waiting, P], WaitingJob],
) -> Callable[Concatenate[Client, P], Coroutine[Any, Any, Job]]:
    async def called(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        return Job(await in_thread(lambda: method(self.waiting, *args, **kwargs)))

    called.__doc__ = method.__doc__
    return called


@final
class Client:
    """The jobs of one server, as `pravah.Client`; a task that is cancelled stops waiting.

    async with pravah.aio.Client("http://127.0.0.1:8000") as client:
        job = await client.run("/data/in", to="/data/out", steps="compress")
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self.waiting = Waiting(url, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def list(
        self, *, status: str | None = None, limit: int | None = None
    ) -> builtins.list[Job]:
        """Give jobs, the latest first: those of a status, at most so many."""
        found = await in_thread(lambda: self.waiting.list(status=status, limit=limit))
        return [Job(job) for job in found]

    plan = _telling(Waiting.plan)
    create = _giving_job(Waiting.create)
    run = _giving_job(Waiting.run)
    get = _giving_job(Waiting.get)
    workers = _telling(Waiting.workers)
    close = _telling(Waiting.close)
