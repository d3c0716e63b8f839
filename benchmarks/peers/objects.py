"""Files to and from an object store by obstore, with 64 requests in flight, as the targets have it.

`python objects.py up DIRECTORY URI` or `down URI`; what comes down stays in memory. The store is
the one that AWS_ENDPOINT_URL and the other variables of that kind name.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from obstore.store import S3Store

IN_FLIGHT = 64


async def up(directory: Path, uri: str) -> None:
    """Put every file below a directory."""
    store, turn = opened(uri), asyncio.Semaphore(IN_FLIGHT)

    async def put(path: Path) -> None:
        async with turn:
            await store.put_async(str(path.relative_to(directory)), path)

    async with asyncio.TaskGroup() as putting:
        for path in filter(Path.is_file, directory.rglob("*")):
            putting.create_task(put(path))


async def down(uri: str) -> None:
    """Get every object below a prefix."""
    store, turn = opened(uri), asyncio.Semaphore(IN_FLIGHT)

    async def get(key: str) -> None:
        async with turn:
            found = await store.get_async(key)
            await found.bytes_async()

    async with asyncio.TaskGroup() as getting:
        async for page in store.list():
            for found in page:
                getting.create_task(get(found["path"]))


def opened(uri: str) -> S3Store:
    """Give a prefix of a bucket."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return S3Store(bucket, prefix=prefix, client_options={"allow_http": True})


if __name__ == "__main__":
    if sys.argv[1] == "up":
        asyncio.run(up(Path(sys.argv[2]), sys.argv[3]))
    else:
        asyncio.run(down(sys.argv[2]))
    # Threads of the library that outlive the interpreter abort one run in some dozens.
    os._exit(0)
