"""Work that blocks, in threads beside the event loop: so many at once, so many waiting, no more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from pravah.api.problems import busy

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A pool with a waiting room; whoever finds that full is told to come again."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._free = threads + waiting
        self._name = name

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread.

        Where the caller goes away its place is free once the function has ended, not before.
        """
        with self._lock:
            if self._free == 0:
                raise busy(f"too many requests wait for `{self._name}`")
            self._free -= 1
        future = self._pool.submit(function, *args, **kwargs)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Begin nothing more; what has begun goes on to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _leave(self, _future: Future[Any]) -> None:
        with self._lock:
            self._free += 1
