"""The jobs of the kill sweep: every `overwrite`, in place, fates of sources, merge, split, tables.

A quiet run of each, under strace where there is one, says what a killed one has to end like.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import kills
from tests.e2e.cli.harness import Cli, assert_books_close
from tests.e2e.trees import digests, litter

ENDED = ("completed", "failed", "cancelled")
# Every so many outputs a file of somebody else has the name of one.
STRANGERS = 7
LONG_AGO_S, LONG_AHEAD_S = 1_000_000_000, 4_000_000_000


@dataclass(frozen=True)
class Shape:
    """One form of job; `earlier` has run at another level before, with outputs that it replaces."""

    name: str
    flags: tuple[str, ...] = ()
    earlier: bool = False
    strangers: bool = False
    consumes: bool = False  # its sources do not stay as they are
    in_place: bool = False
    merges: bool = False  # its outputs are few
    tables: bool = False  # its sources are CSV
    steps: tuple[str, ...] = ()  # other ones than compress; LEVEL is 1 earlier, then 3


SPLIT = ("split:bytes=LEVEL00KiB", "compress:codec=zstd,level=LEVEL")

SHAPES = (
    Shape("new"),
    Shape("changed", earlier=True),
    Shape("never", ("--overwrite", "never"), strangers=True),
    Shape("newer", ("--overwrite", "newer"), strangers=True),
    Shape("always", ("--overwrite", "always"), strangers=True),
    Shape("error", ("--overwrite", "error"), strangers=True),
    Shape("in place", ("--in-place",), consumes=True, in_place=True),
    Shape("delete", ("--after", "delete"), consumes=True),
    Shape("move", ("--after", "move:moved"), consumes=True),
    Shape("merge", ("--path", "{dir}/all-{index}.zst"), merges=True),
    Shape("merge, changed", ("--path", "{dir}/all-{index}.zst"), merges=True, earlier=True),
    Shape(
        "merge, delete",
        ("--path", "{dir}/all-{index}.zst", "--after", "delete"),
        merges=True,
        consumes=True,
    ),
    Shape("split", steps=SPLIT),
    Shape("split, changed", steps=SPLIT, earlier=True),  # the earlier result has more parts
    Shape("split, delete", ("--after", "delete"), steps=SPLIT, consumes=True),
    Shape("split tables", tables=True, steps=("split:rows=LEVEL00", "convert:parquet")),
    Shape(
        "merge tables",
        ("--path", "{dir}/all-{index}.parquet"),
        merges=True,
        tables=True,
        steps=(
            "convert:format=parquet,on_bad_row=drop",
            "merge:group_by={dir},target_size=LEVEL6KiB,columns=union",
        ),
    ),
    Shape(
        "partition, changed",
        ("--path", "{dir}/all-{part}.csv"),
        merges=True,
        tables=True,
        earlier=True,
        steps=(  # the earlier result has more directories
            "convert:{format: csv, on_bad_row: drop, types: {word: text}}",
            "filter_rows:word between 'LEVEL' and '4'",
            "merge:{group_by: '{dir}', columns: union, partition_by: [word]}",
        ),
    ),
    Shape("convert", tables=True, steps=("filter_rows:word like '%e%'", "convert:parquet")),
    Shape("quarantine", tables=True, steps=("convert:format=ndjson,on_bad_row=quarantine",)),
    Shape("headers", tables=True, steps=("extract_headers",)),
    Shape("headers as Parquet", ("--results", "parquet"), tables=True, steps=("extract_headers",)),
)


@dataclass(frozen=True)
class Stage:
    """A directory of its own for one run of a shape: sources, sink and ledger."""

    shape: Shape
    place: Path
    source: Path
    cli: Cli

    @classmethod
    def set(cls, shape: Shape, original: Path, place: Path) -> Stage:
        """Prepare everything up to the run itself."""
        place.mkdir(parents=True)
        source = original / ("tables" if shape.tables else "files")
        if shape.consumes:
            source = place / "source"
            shutil.copytree(original / "files", source)
        stage = cls(shape, place, source, Cli(place / "home", place))
        if shape.earlier:
            stage.cli.ok(*stage.arguments(level=1))
        if shape.strangers:
            _put_strangers(original / "files", stage.sink)
        return stage

    @property
    def sink(self) -> Path:
        """Where outputs go."""
        return self.source if self.shape.in_place else self.place / "sink"

    def outputs(self) -> int:
        """Count the files that are in the sink."""
        return sum(len(names) for _, _, names in os.walk(self.sink))

    def arguments(self, level: int = 3) -> list[str]:
        """Give the command."""
        to = [] if self.shape.in_place else ["--to", f"{self.sink}/"]
        steps = ["-s", f"compress:codec=zstd,level={level}"]
        if self.shape.merges:
            steps = ["-s", "merge:group_by={dir},target_size=16KiB", *steps]
        if self.shape.steps:
            named = (step.replace("LEVEL", str(level)) for step in self.shape.steps)
            steps = [part for step in named for part in ("-s", step)]
        return ["run", str(self.source), *to, *steps, *self.shape.flags, "-q"]

    def jobs(self) -> list[dict[str, object]]:
        """Give what the ledger says of its jobs, the latest first."""
        listed = self.cli.ok("jobs", "list", "--json").objects()
        return [self.cli.ok("jobs", "show", job["id"], "--json").objects()[0] for job in listed]

    def has_ended(self) -> bool:
        """Tell whether the last job of the command has come to its end before it was killed."""
        jobs = self.jobs()[: -1 if self.shape.earlier else None]
        return bool(jobs) and jobs[0]["status"] in ENDED

    def end(self) -> End:
        """Look at what is there when all has ended."""
        job = self.jobs()[0]
        assert_books_close(job)
        moved = self.place / "moved"
        assert litter(self.sink, self.source, moved) == []
        trees = tuple(digests(root) for root in (self.sink, self.source, moved))
        # The directory of a dataset is called after its job, which is another one each time.
        for number, each in enumerate(self.jobs()):
            name, shown = str(each["id"]).encode(), b"JOB%d" % number
            trees = tuple({k.replace(name, shown): v for k, v in tree.items()} for tree in trees)
        counts = {name: number for name, number in dict(job["counts"]).items() if number}  # type: ignore[call-overload]
        return End(str(job["status"]), counts, trees)


@dataclass(frozen=True)
class End:
    """What a run leaves: the job's end and every file."""

    status: str
    counts: dict[str, int]
    trees: tuple[dict[bytes, str], ...]


@dataclass(frozen=True)
class Quiet:
    """What an uninterrupted run of a shape does, and how long it takes."""

    end: End
    duration_s: float
    calls: dict[str, int]

    @classmethod
    def run(cls, shape: Shape, original: Path, place: Path) -> Quiet:
        """Run a shape to its end, and note its system calls where they can be seen."""
        stage = Stage.set(shape, original, place)
        began = time.monotonic()
        calls = kills.system_calls_made(stage.cli, stage.arguments(), place / "strace.log")
        return cls(stage.end(), time.monotonic() - began, calls)


def _put_strangers(source: Path, sink: Path) -> None:
    """Put files of somebody else where outputs would go, half of them newer than all sources."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for number, path in enumerate(files[::STRANGERS]):
        stranger = sink / path.relative_to(source).with_name(path.name + ".zst")
        stranger.parent.mkdir(parents=True, exist_ok=True)
        stranger.write_bytes(b"somebody else's\n")
        at_s = LONG_AHEAD_S if number % 2 else LONG_AGO_S
        os.utime(stranger, (at_s, at_s))
