"""Whoever asks for the same thing at the same time shares a look into the ledger.

A look serves those who asked before it began: everybody gets the truth of a moment at which they
were waiting already. Of one thing one look is under way at a time, so that a ledger which is slow
for a while is not asked for the same a hundred times meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pravah.api.threads import Threads


class Looks:
    """The looks that are under way, and those that come after them; used on the event loop only."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._under_way: dict[Hashable, asyncio.Task[bytes]] = {}
        self._following: dict[Hashable, asyncio.Task[bytes]] = {}

    async def share(self, thing: Hashable, look: Callable[[], bytes]) -> bytes:
        """Give what the next look at a thing finds, or raise what it raises."""
        task = self._following.get(thing)
        if task is None:
            task = self._following[thing] = asyncio.create_task(self._look(thing, look))
            # Also where everybody has gone who wanted to know.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        # One client that goes away takes nothing from the others.
        return await asyncio.shield(task)

    async def _look(self, thing: Hashable, look: Callable[[], bytes]) -> bytes:
        if earlier := self._under_way.get(thing):
            await asyncio.wait([earlier])
        self._under_way[thing] = self._following.pop(thing)
        try:
            return await self._threads.run(look)
        finally:
            del self._under_way[thing]
