"""`pravah jobs results`: what inspect steps found, or how far tables agree in their columns."""

from collections.abc import Iterator
from typing import Annotated

from typer import Argument, Option

from pravah.cli.application import existing
from pravah.cli.console import Console
from pravah.cli.figures import count, counted
from pravah.cli.names import from_path, printable
from pravah.model.drift import Drift, Schema


def results(
    job: Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")],
    console: Console,
    *,
    drift: Annotated[
        bool, Option("--drift", help="Tell how far tables agree in their columns instead.")
    ] = False,
) -> None:
    """Print what inspect steps found, as NDJSON."""
    with existing(console) as application:
        records = application.jobs.results(job)
        if not drift:
            console.raw(records)
            return
        found = Drift.of(records)
    if console.json:
        console.data(found.to_dict())
    elif not found.tables:
        console.say("no tables; `-s extract_headers` finds their columns")
    else:
        console.lines(_lines(found))


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
