"""`pravah jobs results`: what inspect steps found, or how far tables agree in their columns."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from pravah.cli.application import existing
from pravah.cli.console import Console
from pravah.cli.figures import count, counted
from pravah.cli.names import from_path, printable
from pravah.cli.spec_flags import ResultsFormat
from pravah.cli.tables import refuse_terminal
from pravah.errors import SpecError
from pravah.library.whole_file import write_whole
from pravah.model.dataset import EXTENSIONS, dataset_format
from pravah.model.drift import Drift, Schema

if TYPE_CHECKING:
    from pravah.model.dataset import DatasetFormat


def results(
    job: Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")],
    console: Console,
    *,
    form: Annotated[
        ResultsFormat | None,
        Option("--format", help="How to write (default: as --output ends, else ndjson)."),
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
    drift: Annotated[
        bool, Option("--drift", help="Tell how far tables agree in their columns instead.")
    ] = False,
) -> None:
    """Print what inspect steps found, or write it to a file."""
    chosen = _chosen(form, output)
    if output is None and not drift:
        refuse_terminal(chosen)
    with existing(console) as application:
        if drift:
            found = Drift.of(application.jobs.results(job))
        elif output is None:
            console.raw(application.jobs.results(job, chosen))
            return
        else:
            write_whole(output, application.jobs.results(application.jobs.find(job), chosen))
            console.say(f"wrote {printable(os.fsencode(output))}")
            return
    if console.json:
        console.data(found.to_dict())
    elif not found.tables:
        console.say("no tables; `-s extract_headers` finds their columns")
    else:
        console.lines(_lines(found))


def _chosen(form: ResultsFormat | None, output: Path | None) -> "DatasetFormat":
    told = dataset_format(str(output)) if output is not None else None
    if form is not None:
        return form.value
    if output is not None and told is None:
        raise SpecError(
            f"can't tell the format of `{printable(os.fsencode(output))}`",
            hint=f"its name may end in {', '.join(EXTENSIONS)}, or say it by --format",
        )
    return told or "ndjson"


def _lines(found: Drift) -> Iterator[str]:
    union, intersection = count(len(found.union)), count(len(found.intersection))
    yield f"tables   {count(found.tables)}, of {counted(len(found.schemas), 'schema')}"
    yield f"columns  {union} in all, {intersection} in every table"
    for number, schema in enumerate(found.schemas, start=1):
        what = _columns(schema) if number == 1 else _against(schema, found.schemas[0])
        yield f"\nS{number}  {count(schema.tables)} ×  {printable(what)}"
        yield f"    {', '.join(from_path(path) for path in schema.examples)}"
    if found.others:
        yield f"\nand {counted(found.others, 'table')} of further schemas"


def _columns(schema: Schema) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in schema.columns) or "no columns"


def _against(schema: Schema, commonest: Schema) -> str:
    other = schema.against(commonest)
    kinds = dict(schema.columns)
    parts = [
        *(f"- {name}" for name in other["missing"]),
        *(f"+ {name} {kinds[name]}" for name in other["added"]),
        *(f"{name} {mine} for {theirs}" for name, (theirs, mine) in other["changed"].items()),
        *(["in another order"] if other["reordered"] else []),
    ]
    return ", ".join(parts) or "a name that comes several times"
