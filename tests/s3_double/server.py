"""The double's HTTP: reads requests, hands them on, and writes answers as badly as is asked."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.s3_double.faults import Faults
from tests.s3_double.messages import LineCutError, Request, Response, S3Error
from tests.s3_double.service import answer, error_response, named_request
from tests.s3_double.store import Bucket, Quirks, Store

# SO_LINGER on, for no time: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Seen:
    """A request that came, for whoever wants to count."""

    operation: str
    bucket: str
    key: bytes
    query: dict[str, str]
    headers: dict[str, str]


class S3Double:
    """A store at `endpoint`, as long as it is entered; see the package."""

    def __init__(self, access_key: str = "double", secret_key: str = "double-secret") -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = "us-east-1"
        self.store = Store()
        self.store.credentials[access_key] = secret_key
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._at_once = 0
        self._counting = threading.Lock()
        self._names = (f"bucket-{number}" for number in itertools.count(1))
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def quirks(self) -> Quirks:
        """What it does otherwise than Amazon's."""
        return self.store.quirks

    def settings(self) -> dict[str, str]:
        """Give the settings that have Pravah use it."""
        return {
            "S3_ACCESS_KEY_ID": self.access_key,
            "S3_SECRET_ACCESS_KEY": self.secret_key,
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_REGION_NAME": self.region,
        }

    def create_bucket(self) -> str:
        """Make an empty bucket; give its name."""
        name = next(self._names)
        with self.store.lock:
            self.store.buckets[name] = Bucket()
        return name

    def objects(self, bucket: str) -> dict[bytes, bytes]:
        """Give what a bucket holds, in bytewise order of keys."""
        with self.store.lock:
            found = self.store.buckets[bucket]
            return {key: found.objects[key].body for key in found.keys}

    def uploads(self, bucket: str) -> list[bytes]:
        """Give the keys of uploads that were neither completed nor aborted."""
        with self.store.lock:
            return sorted(upload.key for upload in self.store.buckets[bucket].uploads.values())

    def count(self, operation: str) -> int:
        """Tell how many requests of an operation came."""
        return sum(seen.operation == operation for seen in self.seen)

    def respond(self, request: Request) -> Response:
        """Answer a request; LineCutError where there is to be no answer."""
        named = named_request(request)
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.seen.append(
                Seen(named.operation, named.bucket, named.key, named.query, named.headers)
            )
        try:
            return answer(request, self.store, self.faults)
        finally:
            with self._counting:
                self._at_once -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Hundreds of clients may knock at once.
    request_queue_size = 1_024

    def __init__(self, double: S3Double) -> None:
        self.double = double
        self.lines: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that cut their line are what tests are about."""

    def server_close(self) -> None:
        super().server_close()
        for line in list(self.lines):  # threads that wait for a next request end
            _shut(line)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes.
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.lines.add(self.connection)

    def finish(self) -> None:
        self.server.lines.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, query = self.path.partition("?")
        request = Request(self.command, path, query, headers, b"")
        try:
            body = self._body(headers)
            response = self.server.double.respond(Request(self.command, path, query, headers, body))
        except S3Error as error:
            response = error_response(error, request)
        except LineCutError:
            self._reset()
            return
        self._send(response)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        if not headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            return body
        body, trailer = _signed_chunks(body)
        headers |= trailer
        if len(body) != int(headers.get("x-amz-decoded-content-length", len(body))):
            raise S3Error(400, "IncompleteBody")
        return body

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        length = len(response.body) if response.declared_bytes is None else response.declared_bytes
        headers = dict(response.headers)
        if response.status != 204:
            headers.setdefault("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        body = response.body
        if response.declared_bytes is not None:
            body = body[: response.declared_bytes]
            self.close_connection = True
        if response.sent_bytes is not None:
            body = body[: response.sent_bytes]
            self.close_connection = True
        self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True
        # Both files hold the socket open: only when they are closed does the reset go out.
        self.rfile.close()
        self.connection.close()


def _signed_chunks(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Unpack `aws-chunked`: chunks with a signature each, then trailing headers."""
    pieces, trailer = [], {}
    while True:
        head, _, body = body.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if size == 0:
            break
        pieces.append(body[:size])
        body = body[size + 2 :]
    for line in body.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            trailer[name.decode().lower().strip()] = value.decode().strip()
    return b"".join(pieces), trailer


def _shut(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
