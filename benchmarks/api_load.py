"""Requests to a real server while it works on a large job; `python -m benchmarks.api_load POST 50`.

Requests are sent at the moments of a fixed rate, whether or not earlier ones are answered, and each
is timed from the moment at which it was due: a server that stands still is not spared. The chosen
percentile is told as the last line, in seconds.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import synthetic
from pravah.bootstrap import application
from pravah.settings import Settings

RATE_PER_S = 200
POSTS_PER_S = 50
CLIENTS = 16
SECONDS = 10


def main(method: str, percentile: float, entries: int) -> float:
    """Measure a percentile of the answers to GETs or POSTs."""
    with tempfile.TemporaryDirectory() as scratch:
        home, port = Path(scratch), _free_port()
        (home / "data").mkdir()
        (home / "data" / "file").write_bytes(b"content")
        environment = {
            **os.environ,
            "PRAVAH_HOME": scratch,
            "PRAVAH_ENV_FILE": "",
            "APP_PORT": str(port),
            "PRAVAH_ALLOWED_ROOTS": scratch,
            "LOG_LEVEL": "WARNING",
        }
        opened = application(Settings(environment))
        job_id = synthetic.create(opened, entries)
        server = subprocess.Popen(
            [sys.executable, "-m", "pravah.api"], env=environment, cwd=scratch
        )
        try:
            _wait(port)
            body = {"source": str(home / "data"), "steps": ["count"], "priority": -1000}
            sent = json.dumps(body).encode() if method == "POST" else None
            path = "/jobs" if method == "POST" else f"/jobs/job_{job_id}"
            return _measure(port, method, path, sent, percentile)
        finally:
            server.terminate()
            server.wait()
            opened.jobs.cancel(job_id)  # the next one may use the same ledger
            opened.close()


def _measure(port: int, method: str, path: str, body: bytes | None, percentile: float) -> float:
    rate = POSTS_PER_S if method == "POST" else RATE_PER_S
    due: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    took: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (moment_s := due.get()) is not None:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 201):
                raise SystemExit(f"{method} {path}: {answer.status}")
            took.append(time.perf_counter() - moment_s)

    gc.disable()  # pauses of this process are none of the server's
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    begun_s = time.perf_counter()
    for number in range(rate * SECONDS):
        moment_s = begun_s + number / rate
        time.sleep(max(0.0, moment_s - time.perf_counter()))
        due.put(moment_s)
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    took.sort()
    return took[min(len(took) - 1, int(len(took) * percentile / 100))]


def _wait(port: int) -> None:
    """Wait until the server answers and its worker has begun."""
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/jobs?status=running")
            if json.loads(connection.getresponse().read())["items"]:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server does not answer, or nobody works")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    print(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
