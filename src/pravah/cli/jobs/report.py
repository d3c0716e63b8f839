"""`pravah jobs report`: the closing account, for people, programs and spreadsheets."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli import account, pipeline
from pravah.cli.application import existing
from pravah.cli.console import PLAIN_COLUMNS, Console
from pravah.cli.figures import duration, size
from pravah.cli.names import from_path, printable
from pravah.cli.render import Column, pairs, table
from pravah.errors import SpecError
from pravah.library.whole_file import whole, write_whole, written
from pravah.model.uri import absolute_uri, is_object_uri, planned_uri

if TYPE_CHECKING:
    from pravah.cli.application import AnyJobs

# By the end of --output's name: the report, or the account of each file.
SUFFIXES = (".json", ".ndjson", ".parquet")


def report(
    job: Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")],
    console: Console,
    *,
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the report (.json), or the account of each file (.ndjson, .parquet): to a "
            "file, or an s3://BUCKET/KEY.",
        ),
    ] = None,
) -> None:
    """Print a job's report, or write it to a file."""
    if output is not None and Path(output).suffix not in SUFFIXES:
        raise SpecError(
            f"can't tell the format of `{printable(os.fsencode(output))}`",
            hint=f"its name may end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}",
        )
    with existing(console) as application:
        found = application.jobs.get(job)
        if output is not None:
            if is_object_uri(output):
                _put(application.jobs, found.id, output)
            else:
                _write(application.jobs, found.id, Path(output))
            console.say(f"wrote {printable(os.fsencode(output))}")
            return
        closing = application.jobs.report(found.id)
    if console.json:
        console.data(closing)
    else:
        _print(console, found.to_dict(), closing)


def _write(jobs: "AnyJobs", job_id: str, output: Path) -> None:
    if output.suffix == ".parquet":
        with whole(output) as place, written(output):
            jobs.write_account(job_id, place)
    elif output.suffix == ".ndjson":
        write_whole(output, jobs.files(job_id))
    else:
        text = json.dumps(jobs.report(job_id), indent=2, ensure_ascii=False) + "\n"
        write_whole(output, [text.encode("utf-8", "surrogateescape")])


def _put(jobs: "AnyJobs", job_id: str, uri: str) -> None:
    """Write to a file, and put that whole; an object that this job has not put there stays."""
    from pravah import engine

    planned = planned_uri(absolute_uri(uri, b"/"))
    with tempfile.TemporaryDirectory() as directory:
        written = Path(directory) / f"report{Path(uri).suffix}"
        _write(jobs, job_id, written)
        with written.open("rb") as file:
            engine.put_object(planned, file.fileno(), job_id, {})


def _print(console: Console, job: Mapping[str, Any], closing: Mapping[str, Any]) -> None:
    columns = console.columns or PLAIN_COLUMNS
    spec = job["spec"]
    facts = [
        ("source", pipeline.sources(spec)),
        ("steps", pipeline.steps(spec)),
        ("sink", pipeline.sink(spec) or "none"),
    ]
    console.line(account.headline(job, console.painter, columns))
    console.lines(pairs(facts, indent="  "))
    console.line()
    console.lines(account.books(job, closing))
    if closing["failures"]:
        console.line()
        console.lines(account.failure_groups(closing["failures"], job["id"], columns))
    console.line()
    console.lines(account.closing(job, closing))
    if closing["slowest"]:
        console.line("\n  slowest files")
        console.lines(_slowest(closing["slowest"], columns))


def _slowest(files: Iterable[Mapping[str, Any]], columns: int) -> list[str]:
    shape = [Column(), Column(align="right"), Column(align="right"), Column(shrink="middle")]
    rows = [
        ("  ", duration(file["duration_s"]), size(file["size_bytes"]), from_path(file["path"]))
        for file in files
    ]
    return table(shape, rows, columns)
