"""Calls in threads, which coroutines wait for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pravah.aio.threads import in_thread
from pravah.library.session import stoppable


def test_call_begins_at_once_however_many_others_wait() -> None:
    async def main() -> bool:
        gate = threading.Event()
        # More than the loop's own threads, of which there are 32 at most.
        waits = [asyncio.create_task(in_thread(gate.wait)) for _ in range(50)]
        await asyncio.sleep(0)
        another = asyncio.create_task(in_thread(lambda: None))
        done, _ = await asyncio.wait([another], timeout=10)
        gate.set()
        await asyncio.gather(*waits)
        return another in done

    assert asyncio.run(main())


def test_error_of_a_call_is_that_of_its_coroutine() -> None:
    def failing() -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        asyncio.run(in_thread(failing))


def test_cancelled_coroutine_ends_once_its_call_has_stopped() -> None:
    events: list[str] = []

    def working(begun: threading.Event) -> None:
        stopped = threading.Event()
        stop = stoppable.get()
        assert stop is not None
        stop.begin(stopped.set)
        begun.set()
        stopped.wait(10)
        events.append("stopped")

    async def main() -> None:
        begun = threading.Event()
        task = asyncio.create_task(in_thread(lambda: working(begun)))
        await in_thread(lambda: begun.wait(10))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        events.append("cancelled")

    asyncio.run(main())
    assert events == ["stopped", "cancelled"]
