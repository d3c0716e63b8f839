"""A proxy before an object store that holds back every page of a listing, as a distant store does.

It passes everything else on as it comes. Requests keep their Host header, so that signatures hold.

    python -m benchmarks.delaying_proxy http://127.0.0.1:9000 --delay-ms 75

prints its own address, and serves until it is interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
from urllib.parse import urlsplit

_LISTING = re.compile(rb"GET [^ ]*[?&](?:list-type=2|prefix=|delimiter=|marker=|uploads)")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_PIECE_BYTES = 1 << 16
# Heads with a long key and a session token are a few kilobytes.
_LONGEST_HEAD_BYTES = 1 << 20


class DelayingProxy:
    """Listens on a port of 127.0.0.1 and leads to one store."""

    def __init__(self, target: str, delay_s: float) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._delay_s = delay_s

    async def serve(self, port: int = 0) -> asyncio.Server:
        """Begin to listen; with port 0 on a free one."""
        return await asyncio.start_server(
            self._connect, "127.0.0.1", port, limit=_LONGEST_HEAD_BYTES, backlog=1_024
        )

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            answers, requests = await asyncio.open_connection(self._host, self._port)
            back = asyncio.create_task(_pass(answers, writer))
            try:
                await self._requests(reader, requests)
            finally:
                requests.close()
                await back
        writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass requests on one by one: a line may be used for any number of them."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if _LISTING.match(head):
                await asyncio.sleep(self._delay_s)
            writer.write(head)
            length = _LENGTH.search(head)
            if _CHUNKED.search(head):
                await _pass_chunks(reader, writer)
            elif length is not None:
                await _pass_bytes(reader, writer, int(length[1]))
            await writer.drain()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _pass_bytes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
) -> None:
    while count:
        data = await reader.read(min(count, _PIECE_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(data, count)
        writer.write(data)
        await writer.drain()
        count -= len(data)


async def _pass_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = 1
    while size:
        line = await reader.readuntil(b"\r\n")
        writer.write(line)
        size = int(line.split(b";")[0], 16)
        if size:
            await _pass_bytes(reader, writer, size + 2)
    while line != b"\r\n":  # trailers, and the empty line behind them
        line = await reader.readuntil(b"\r\n")
        writer.write(line)


async def _main(target: str, delay_s: float, port: int) -> None:
    server = await DelayingProxy(target, delay_s).serve(port)
    address = server.sockets[0].getsockname()
    print(f"http://{address[0]}:{address[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Hold back every page of a listing.")
    arguments.add_argument("target", help="the store's endpoint, as in http://127.0.0.1:9000")
    arguments.add_argument("--delay-ms", type=float, default=75.0)
    arguments.add_argument("--port", type=int, default=0, help="0: a free one")
    given = arguments.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(given.target, given.delay_ms / 1_000, given.port))
