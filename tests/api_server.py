"""A Pravah server of the tests' own: the real one, in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.ports import free_port

PATIENCE_S = 60


@contextlib.contextmanager
def serving(environment: Mapping[str, str], directory: Path, *options: str) -> Iterator[str]:
    """Run `pravah serve` until the block ends; give its URL once it is ready."""
    port = free_port()
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pravah", "serve", *options],
            cwd=directory,
            env={**environment, "APP_HOST": "127.0.0.1", "APP_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        if not _is_ready(url, process):
            pytest.fail((directory / "server.log").read_text("utf-8", "replace"))
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            opener.open(f"{url}/readyz", timeout=5) as answer,
        ):
            return bool(answer.status == 200)
        time.sleep(0.05)
    return False
