"""Calls of the library as coroutines: each runs in a thread, which a cancelled task waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import wraps
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from pravah.library.session import Stop, stoppable

P = ParamSpec("P")
T = TypeVar("T")

# Items that come from a thread at once.
_AT_ONCE = 1_000


def awaitable(call: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Give the call as a coroutine function."""

    @wraps(call)
    async def called(*args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(lambda: call(*args, **kwargs))

    return called


async def in_thread(call: Callable[[], T]) -> T:
    """Run a call in a thread; where this task is cancelled, stop its work and wait for its end."""
    stop, context = Stop(), copy_context()
    context.run(stoppable.set, stop)
    running = _begun(lambda: context.run(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at: nobody else will
        raise


def _begun(call: Callable[[], T]) -> asyncio.Future[T]:
    """Run a call in a thread of its own, so that it begins at once.

    A loop has few threads: jobs that are waited for would hold all of them, and whoever is
    cancelled while others wait would wait for their end.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's
            outcome.set_exception(error)

    threading.Thread(target=run, name="pravah-call").start()
    return asyncio.wrap_future(outcome)


async def items(iterator: Iterator[T]) -> AsyncIterator[T]:
    """Give what an iterator gives, some at a time from a thread."""
    while some := await in_thread(lambda: list(islice(iterator, _AT_ONCE))):
        for item in some:
            yield item
