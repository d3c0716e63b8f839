"""Long answers: pieces of an iterator that blocks, taken in threads as fast as the client reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pravah.api.threads import Threads

# Handed over at once: large enough to cost little, small enough to wait for.
_PIECE_BYTES = 64 << 10


class Stream(StreamingResponse):
    """A long answer whose source is closed as soon as nobody reads it any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


async def pieces(threads: Threads, begun: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """Give what an iterator gives, in pieces; it is closed when the client has gone."""
    try:
        while piece := await threads.run(_gather, begun):
            yield piece
    finally:
        close: Callable[[], None] | None = getattr(begun, "close", None)
        if close is not None:
            await threads.run(close)


def _gather(begun: Iterator[bytes]) -> bytes:
    gathered, size_bytes = [], 0
    for part in begun:
        gathered.append(part)
        size_bytes += len(part)
        if size_bytes >= _PIECE_BYTES:
            break
    return b"".join(gathered)


async def opened(
    threads: Threads, begin: Callable[[], Iterator[bytes]]
) -> tuple[bytes, Iterator[bytes]]:
    """Take the first piece before the answer begins: what is refused is refused by its status."""

    def first() -> tuple[bytes, Iterator[bytes]]:
        begun = begin()
        return _gather(begun), begun

    return await threads.run(first)


async def rest(threads: Threads, first: bytes, begun: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Give the first piece, then all others."""
    async with aclosing(pieces(threads, begun)) as left:
        yield first
        async for piece in left:
            yield piece
