"""Who asks for the same thing at once shares a look, and nobody gets one that began before."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from pravah.api.looks import Looks
from pravah.api.threads import Threads
from pravah.errors import NotFoundError


@pytest.fixture
def looks() -> Iterator[Looks]:
    threads = Threads("test", threads=4, waiting=100)
    yield Looks(threads)
    threads.close()


class _Ledger:
    """Counts the looks, and lets each end only when it is told to."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Semaphore(0)

    def look(self) -> bytes:
        self.begun += 1
        found = str(self.begun).encode()
        assert self.may_end.acquire(timeout=10)
        return found


async def _begun(ledger: _Ledger, number: int) -> None:
    async with asyncio.timeout(10):
        while ledger.begun < number:
            await asyncio.sleep(0.001)


def test_those_who_ask_while_a_look_is_under_way_share_the_next(looks: Looks) -> None:
    async def ask() -> None:
        ledger = _Ledger()
        first = asyncio.create_task(looks.share("job", ledger.look))
        await _begun(ledger, 1)
        later = [asyncio.create_task(looks.share("job", ledger.look)) for _ in range(50)]
        await asyncio.sleep(0.02)
        assert ledger.begun == 1
        ledger.may_end.release(2)
        assert await first == b"1"
        assert await asyncio.gather(*later) == [b"2"] * 50

    asyncio.run(ask())


def test_another_thing_does_not_wait(looks: Looks) -> None:
    async def ask() -> None:
        ledger, other = _Ledger(), _Ledger()
        first = asyncio.create_task(looks.share("job", ledger.look))
        await _begun(ledger, 1)
        other.may_end.release()
        assert await looks.share("another", other.look) == b"1"
        ledger.may_end.release()
        assert await first == b"1"

    asyncio.run(ask())


def test_client_that_goes_away_takes_nothing_from_the_others(looks: Looks) -> None:
    async def ask() -> None:
        ledger = _Ledger()
        first, second = (asyncio.create_task(looks.share("job", ledger.look)) for _ in "ab")
        await _begun(ledger, 1)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        ledger.may_end.release()
        assert await second == b"1"

    asyncio.run(ask())


def test_error_reaches_all_who_asked_and_is_not_kept(looks: Looks) -> None:
    def fails() -> bytes:
        raise NotFoundError("no job", kind="job_not_found")

    async def ask() -> None:
        asked = (looks.share("job", fails) for _ in range(3))
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, NotFoundError)
        assert await looks.share("job", lambda: b"found") == b"found"

    asyncio.run(ask())
