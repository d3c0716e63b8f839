"""Object stores of the tests' own: real MinIO and versitygw, without root, gone when they end.

`make servers` (and with it `make test`) builds both from their pinned Go modules. Where one is
missing, tests that need it skip and say how to get it; where CI is set they fail. A store that is
already there can take MinIO's place: PRAVAH_TEST_S3_ENDPOINT, with S3_ACCESS_KEY_ID,
S3_SECRET_ACCESS_KEY and, where it is not us-east-1, S3_REGION_NAME beside it.

`python -m tests.object_servers [minio|versitygw]` runs one until it is interrupted, and prints the
settings that lead to it.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import boto3
import pytest
from botocore.config import Config

from tests.ports import free_port

BUILT = Path(__file__).parent.parent / ".cache" / "servers"
KINDS = ("minio", "versitygw")
# A server that does not answer for so long will not do so any more, on a busy machine either.
PATIENCE_S = 60
# Another process may take a free port before the server does.
_TRIES = 3
_PR_SET_PDEATHSIG = 1


@dataclass
class ObjectServer:
    """A store that is ready, and what leads to it."""

    kind: str
    endpoint: str
    access_key: str = "pravah-test"
    secret_key: str = "pravah-test-secret"  # noqa: S105 - of a server that lives as long as its test
    region: str = "us-east-1"
    _numbers: Iterator[int] = field(init=False, default_factory=lambda: itertools.count(1))

    def settings(self) -> dict[str, str]:
        """Give the settings that have Pravah use it."""
        return {
            "S3_ACCESS_KEY_ID": self.access_key,
            "S3_SECRET_ACCESS_KEY": self.secret_key,
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_REGION_NAME": self.region,
        }

    @contextlib.contextmanager
    def client(self, tries: int = 1) -> Iterator[Any]:
        """Give boto3's client: an opinion about the store that is not ours."""
        client = _session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"}, retries={"total_max_attempts": tries}, proxies={}
            ),
        )
        with contextlib.closing(client):
            yield client
        del client
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # it leaves connections that broke to the garbage collector

    def create_bucket(self) -> str:
        """Make an empty bucket that no other test has; give its name."""
        name = f"test-{os.getpid()}-{time.time_ns() % 10**9}-{next(self._numbers)}"
        # A server that is ready may still refuse the first one: it is not initialised.
        with self.client(tries=6) as client:
            client.create_bucket(Bucket=name)
        return name


@contextlib.contextmanager
def served(kind: str, port: int | None = None, **keys: str) -> Iterator[ObjectServer]:
    """Run a server of a kind on 127.0.0.1, its data in a directory of its own.

    By default on a free port; `keys` are `access_key` and `secret_key`, where these are given.
    """
    program = BUILT / kind
    if not program.exists():
        _missing(kind)
    directory = Path(tempfile.mkdtemp(prefix=f"pravah-{kind}-"))
    try:
        process, server = _started(kind, program, directory, port, keys)
        try:
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def minio() -> Iterator[ObjectServer]:
    """Give MinIO for the whole session, or the store that PRAVAH_TEST_S3_ENDPOINT names."""
    if endpoint := os.environ.get("PRAVAH_TEST_S3_ENDPOINT"):
        yield ObjectServer(
            "given",
            endpoint,
            os.environ["S3_ACCESS_KEY_ID"],
            os.environ["S3_SECRET_ACCESS_KEY"],
            os.environ.get("S3_REGION_NAME", "us-east-1"),
        )
        return
    with served("minio") as server:
        yield server


@pytest.fixture(scope="session")
def versitygw() -> Iterator[ObjectServer]:
    """Give versitygw for the whole session: a second opinion about what S3 is."""
    with served("versitygw") as server:
        yield server


@pytest.fixture(params=KINDS)
def object_server(request: pytest.FixtureRequest) -> ObjectServer:
    """Give each store in turn."""
    server: ObjectServer = request.getfixturevalue(request.param)
    return server


@cache
def _session() -> boto3.Session:
    """Give one session for all clients: each would read boto3's model of S3 anew."""
    return boto3.Session()


def _started(
    kind: str, program: Path, directory: Path, named: int | None, keys: dict[str, str]
) -> tuple[subprocess.Popen[bytes], ObjectServer]:
    for attempt in range(_TRIES):
        port = named or free_port()
        server = ObjectServer(kind, f"http://127.0.0.1:{port}", **keys)
        log = directory / "log"
        # A file and no pipe: nobody reads it while the server runs.
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, *_arguments(kind, port, directory)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=_environment(server, directory),
                # Nothing but one system call: no lock of another thread is needed for it.
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        if _is_ready(server, process):
            return process, server
        process.kill()
        process.wait()
        said = log.read_text("utf-8", "replace")
        if "address already in use" not in said or attempt == _TRIES - 1:
            break
    pytest.fail(f"{kind} does not start: {said}")


def _arguments(kind: str, port: int, directory: Path) -> list[str]:
    data = directory / "data"
    data.mkdir(exist_ok=True)
    if kind == "minio":
        console = f"127.0.0.1:{free_port()}"
        return ["server", "--address", f"127.0.0.1:{port}", "--console-address", console, str(data)]
    # Beside the data and not in extended attributes, which not every file system for temporary
    # files has.
    sidecar = directory / "metadata"
    sidecar.mkdir(exist_ok=True)
    options = ["--port", f"127.0.0.1:{port}", "--health", "/health", "--keep-alive"]
    return [*options, "posix", "--sidecar", str(sidecar), str(data)]


def _environment(server: ObjectServer, directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "MINIO_ROOT_USER": server.access_key,
        "MINIO_ROOT_PASSWORD": server.secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        # A small disk that is also the system's is enough for tests.
        "MINIO_CI_CD": "on",
        # Without a key of its own it refuses to encrypt.
        "MINIO_KMS_SECRET_KEY": f"test:{base64.b64encode(bytes(32)).decode()}",
        "ROOT_ACCESS_KEY": server.access_key,
        "ROOT_SECRET_KEY": server.secret_key,
        "VGW_REGION": server.region,
    }


def _is_ready(server: ObjectServer, process: subprocess.Popen[bytes]) -> bool:
    path = "/minio/health/ready" if server.kind == "minio" else "/health"
    # Not by a proxy of the environment: the server is here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            opener.open(server.endpoint + path, timeout=5) as answer,
        ):
            return bool(answer.status == 200)
        time.sleep(0.05)
    return False


def _die_with_parent() -> None:
    """Have the server end with the tests, also where these are killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _missing(kind: str) -> NoReturn:
    reason = f"no {kind}: `make servers` builds it, and needs Go"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "minio"
    with served(kind) as server, contextlib.suppress(KeyboardInterrupt):
        bucket = server.create_bucket()
        for name, value in {**server.settings(), "S3_BUCKET_NAME": bucket}.items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    _main()
