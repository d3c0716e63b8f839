"""`pravah why` and `pravah which`: one file's story in the ledger, from either end."""

import base64
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from typer import Argument, Option

from pravah.cli.application import existing, is_here
from pravah.cli.console import Console
from pravah.cli.figures import ago, counted, moment, size
from pravah.cli.names import from_path, from_uris, printable
from pravah.errors import NotFoundError
from pravah.jobs.story import End, Mention
from pravah.model.uri import absolute_uri, is_object_uri

# A job is looked through in about a tenth of a second for each 100,000 files.
JOBS = 10

Jobs = Annotated[int, Option("--jobs", min=1, help="Look into so many jobs, the latest ones.")]


def why(
    path: Annotated[str, Argument(metavar="PATH", help="A source, now or formerly.")],
    console: Console,
    *,
    jobs: Jobs = JOBS,
) -> None:
    """Tell what became of a file, job by job."""
    _tell(path, End.SOURCE, console, jobs)


def which(
    output: Annotated[str, Argument(metavar="OUTPUT", help="An output, now or formerly.")],
    console: Console,
    *,
    jobs: Jobs = JOBS,
) -> None:
    """Tell which job made an output, and what of."""
    _tell(output, End.OUTPUT, console, jobs)


def _tell(typed: str, end: End, console: Console, jobs: int) -> None:
    path = absolute_uri(typed, b"").encode() if is_object_uri(typed) else os.fsencode(typed)
    with existing(console) as application:
        found = application.jobs.story(path, end, jobs)
        first = next(found, None)
        if first is None:
            role = "source" if end is End.SOURCE else "output"
            raise NotFoundError(
                f"no job knows of the {role} `{printable(path)}`",
                kind="file_not_known",
                hint=f"the latest {jobs} jobs around it were looked into, `--jobs` takes more",
            )
        if console.json:
            for mention in (first, *found):
                console.data(mention.to_dict())
            return
        console.line(_now(path) if is_here(application) else from_path(path))
        console.lines(_lines((first, *found), end))


def _now(path: bytes) -> str:
    """Tell what is at the path today; no store is asked for that."""
    if is_object_uri(os.fsdecode(path)):
        return from_path(path)
    name = from_path(os.path.abspath(path))  # noqa: PTH100 - pathlib has no paths of bytes
    try:
        found = os.stat(path)  # noqa: PTH116 - as above
    except OSError as error:
        return f"{name}   {str(error.strerror).lower()}"
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return f"{name}   {size(found.st_size)}, {modified:%Y-%m-%d %H:%M:%SZ}"


def _lines(mentions: Iterable[Mention], end: End) -> Iterable[str]:
    for mention in mentions:
        told = _outcome(mention.file) if end is End.SOURCE else _origin(mention)
        since = mention.job["finished_at"] or mention.job["created_at"]
        yield f"  {mention.job['id']}  {told}   {ago(moment(since))}"


def _outcome(file: dict[str, Any]) -> str:
    outcome = f"{file['outcome']:<9}"
    if file["outputs"]:
        checksum = f", {_short(file['checksum'])}" if file.get("checksum") else ""
        return f"{outcome} → {from_uris(file['outputs'])} ({size(file['output_bytes'])}{checksum})"
    if error := file.get("error"):
        step = f"{error['step']}: " if error.get("step") else ""
        tries = f"   (attempt {file['attempts']})" if file["attempts"] else ""
        return outcome + " " + printable(f"{step}{error['kind']}, {error['message']}") + tries
    return f"{outcome} {printable(file.get('reason') or '')}".rstrip()


def _origin(mention: Mention) -> str:
    file = mention.file
    path = base64.b64decode(file["path_b64"]) if file.get("path_b64") else file["path"]
    if mention.inputs > 1:
        output, others = size(file["output_bytes"]), counted(mention.inputs - 1, "other file")
        return f"← {from_path(path)} and {others} ({output})"
    return f"← {from_path(path)} ({size(file['size_bytes'])} → {size(file['output_bytes'])})"


def _short(checksum: str) -> str:
    algorithm, _, digits = checksum.partition(":")
    return f"{algorithm} {digits[:4]}…"
