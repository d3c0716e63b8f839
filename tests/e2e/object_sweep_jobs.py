"""The jobs of the kill sweep over objects: into a bucket, out of it, from one into another one.

A quiet run of each says what a killed one has to end like.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pravah.bootstrap import application
from pravah.model.job import Job
from pravah.model.status import JobStatus
from pravah.settings import Settings
from tests.e2e import kills
from tests.e2e.cli.harness import Cli
from tests.e2e.object_places import Place
from tests.e2e.trees import digests, litter

# Calls by which requests leave, outputs and the ledger are written, and files get names.
SYSTEM_CALLS = ("fdatasync", "linkat", "pwrite64", "sendto", "syncfs", "writev")
SOURCE, SINK = "source/", "sink/"
# Files that go in parts, by their sizes: of three parts and of two, none of which is the other's.
LARGE_BYTES = {"0.bin": 20 << 20, "1.bin": (8 << 20) + 1_000, "2.bin": 12 << 20}
# Keys that uploads may be of: whole outputs, in place, and several of one file.
LARGE = [
    f"{prefix}{name}{extension}"
    for prefix in (SOURCE, SINK)
    for name in LARGE_BYTES
    for extension in ("", ".zst")
]
LARGE += [f"{SINK}{number}-{part:05}.bin" for number in range(3) for part in range(8)]


@dataclass(frozen=True)
class Shape:
    """One form of job; source and sink are files, or objects on a server of a kind."""

    name: str
    source: str = "files"
    sink: str = "files"
    steps: tuple[str, ...] = ("compress:codec=zstd,level=1",)
    flags: tuple[str, ...] = ()
    large: bool = False  # its sources are few, and go in parts

    @property
    def consumes(self) -> bool:
        """Whether its sources do not stay as they are."""
        return "--after" in self.flags or self.in_place

    @property
    def in_place(self) -> bool:
        """Whether its outputs take the place of its sources."""
        return "--in-place" in self.flags

    @property
    def tree(self) -> str:
        """Name the files that its sources are made of."""
        return "large" if self.large else "small"


DELETE = ("--after", "delete")
IN_PLACE = ("--in-place",)

SHAPES = (
    Shape("up", sink="minio"),
    Shape("up in parts", sink="minio", steps=("copy",), large=True),
    Shape("down", source="minio"),
    Shape("between, delete", source="minio", sink="minio", flags=DELETE),
    Shape("up, weakly fenced", sink="versitygw"),
    Shape("up in parts, weakly fenced", sink="versitygw", steps=("copy",), large=True),
    Shape("down in ranges, delete", source="versitygw", flags=DELETE, large=True),
    Shape("copied there, delete", "minio", "minio", steps=("copy",), flags=DELETE),
    Shape("copied there in parts", "minio", "minio", steps=("copy",), flags=DELETE, large=True),
    Shape("between servers, delete", "versitygw", "minio", flags=DELETE, large=True),
    Shape("split", sink="minio", steps=("split:bytes=1KiB",)),
    Shape("split in parts", sink="minio", steps=("split:bytes=9MiB",), large=True),
    Shape("split in parts, weakly fenced", "minio", "versitygw", ("split:bytes=3MiB",), large=True),
    Shape("by hash", sink="minio", flags=("--path", "{hash:2}/{hash}{ext}"), large=True),
    Shape("in place", "minio", "minio", flags=IN_PLACE),
    Shape("in place, weakly fenced", "versitygw", "versitygw", flags=IN_PLACE, large=True),
    Shape("in place, same names", "minio", "minio", ("copy",), flags=IN_PLACE, large=True),
)


@dataclass(frozen=True)
class Stage:
    """A directory and buckets of its own for one run of a shape: sources, sink and ledger."""

    shape: Shape
    place: Path
    source: Path
    cli: Cli
    buckets: Mapping[str, Place]

    @classmethod
    def set(cls, shape: Shape, original: Path, place: Path, buckets: Mapping[str, Place]) -> Stage:
        """Prepare everything up to the run itself."""
        place.mkdir(parents=True)
        cli = Cli(place / "home", place)
        for bucket in buckets.values():
            bucket.clear()
            cli.environment |= bucket.settings()
        source = original / shape.tree
        if shape.source != "files":
            buckets[shape.source].put_tree(source, SOURCE)
        elif shape.consumes:
            source = shutil.copytree(source, place / "source")
        return cls(shape, place, source, cli, buckets)

    @property
    def sink(self) -> Path:
        """Where outputs go, where these are files."""
        return self.place / "sink"

    def arguments(self) -> list[str]:
        """Give the command."""
        shape = self.shape
        start = str(self.source)
        if shape.source != "files":
            start = self.buckets[shape.source].uri(SOURCE)
        end = f"{self.sink}/" if shape.sink == "files" else self.buckets[shape.sink].uri(SINK)
        steps = [part for step in shape.steps for part in ("-s", step)]
        # What a run finds of its own and does not know again would be an error.
        into = [] if shape.in_place else ["--to", end, "--overwrite", "error"]
        return ["run", start, *into, *steps, *shape.flags, "-q"]

    def outputs(self) -> int:
        """Count the outputs that are published."""
        if self.shape.sink == "files":
            return sum(path.is_file() for path in self.sink.rglob("*"))
        bucket = self.buckets[self.shape.sink]
        if self.shape.in_place and "copy" in self.shape.steps:
            return bucket.owned(SOURCE)
        if self.shape.in_place:  # many, which a look at each would be too slow for
            return sum(key.endswith(".zst") for key in bucket.sizes(SOURCE))
        return len(bucket.sizes(SINK))

    def jobs(self) -> list[tuple[Job, list[bytes]]]:
        """Give what the ledger says of jobs and their files; a command would take seconds."""
        ledger = application(Settings({"PRAVAH_HOME": str(self.cli.home), "PRAVAH_ENV_FILE": ""}))
        try:
            return [(job, list(ledger.jobs.files(job.id))) for job in ledger.jobs.all()]
        finally:
            ledger.close()

    def has_ended(self) -> bool:
        """Tell whether the job has come to its end before it was killed."""
        return any(job.status.ended for job, _ in self.jobs())

    def end(self) -> End:
        """Look at what is there when all has ended."""
        ((job, files),) = self.jobs()
        assert job.books.counts.closed
        paths = Counter(json.loads(file)["path"] for file in files)
        assert max(paths.values()) == 1, f"listed twice: {paths}"
        assert litter(self.place / "sink", self.place / "source") == []
        # What was put to find out how objects are removed stays for an hour behind a kill.
        found = {
            f"{kind}/{key}": digest
            for kind, bucket in self.buckets.items()
            for key, digest in bucket.digests().items()
            if "/_pravah/.pravah-probe-" not in key
        }
        for tree in ("sink", "source"):
            below = digests(self.place / tree)
            found |= {f"{tree}/{name.decode()}": digest for name, digest in below.items()}
        counts = job.books.counts.to_dict()
        return End(job.status, counts, len(paths), found, tuple(self.orphans()))

    def orphans(self) -> list[str]:
        """Give uploads that nobody has ended, of the keys that large outputs have."""
        return [orphan for bucket in self.buckets.values() for orphan in bucket.uploads(*LARGE)]


@dataclass(frozen=True)
class End:
    """What a run leaves: the job's end, and every file, object and upload."""

    status: JobStatus
    counts: dict[str, int]
    listed: int
    contents: dict[str, str]
    orphans: tuple[str, ...]


@dataclass(frozen=True)
class Quiet:
    """What an uninterrupted run of a shape does, and how long it takes."""

    end: End
    outputs: int
    duration_s: float
    calls: dict[str, int]

    @classmethod
    def run(cls, stage: Stage) -> Quiet:
        """Run a shape to its end, and note its system calls where they can be seen."""
        began = time.monotonic()
        log = stage.place / "strace.log"
        calls = kills.system_calls_made(stage.cli, stage.arguments(), log, SYSTEM_CALLS)
        duration_s = time.monotonic() - began
        end = stage.end()
        assert (end.status, end.orphans) == (JobStatus.COMPLETED, ())
        return cls(end, stage.outputs(), duration_s, calls)
