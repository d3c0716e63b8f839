"""`/jobs/{job_id}/results`: what inspect steps found, in the format that is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from pravah.api.callers import READER, Caller
from pravah.api.parameters import JobId
from pravah.api.problems import Problem
from pravah.api.schemas import documented, text_answer
from pravah.api.service import Service, caller_of, service_of
from pravah.api.streams import Stream, opened, rest

Format = Literal["ndjson", "csv", "parquet", "arrow"]
# The first one is what `*/*` gets; then what is asked for by other names of the same.
MEDIA_TYPES: dict[str, Format] = {
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}
_BY_FORMAT = {form: media for media, form in reversed(MEDIA_TYPES.items())}
_DOCUMENTED = list(_BY_FORMAT.values())

router = APIRouter(tags=["jobs"], dependencies=[READER])


@router.get(
    "/jobs/{job_id}/results",
    operation_id="get_results",
    summary="Get what inspect steps found",
    response_class=Response,
    responses=documented(
        200,
        text_answer(
            "application/x-ndjson",
            '{"path": "/data/in/a.csv", "lines": 12}\n',
            *(media for media in _DOCUMENTED if media != "application/x-ndjson"),
        ),
        404,
        406,
    ),
)
async def get_results(
    request: Request,
    job_id: JobId,
    form: Annotated[
        Format | None, Query(alias="format", description="In place of `Accept`.")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """Give every record, in bytewise order of the paths; so far, while the job goes on."""
    service, caller = service_of(request), caller_of(request)
    chosen = form or _chosen(accept)
    begin = partial(_begin, service, caller, job_id, chosen)
    first, begun = await opened(service.slow, begin)
    headers = {"Vary": "Accept"}
    media_type = _BY_FORMAT[chosen]
    return Stream(rest(service.slow, first, begun), headers=headers, media_type=media_type)


def _begin(service: Service, caller: Caller, job_id: str, form: Format) -> Iterator[bytes]:
    found = service.find(caller, job_id)
    if form == "arrow":
        return _arrow(service, found)
    return service.jobs.results(found, form)


def _arrow(service: Service, job_id: str) -> Iterator[bytes]:
    """Write the records as an Arrow IPC stream, through a file as other formats are."""
    import tempfile

    import nanoarrow as na
    from nanoarrow.ipc import StreamWriter

    table = service.jobs.results_table(job_id)
    scratch = service.application.settings.home / "scratch"
    with tempfile.TemporaryFile(dir=scratch) as file:
        stream = na.c_array_stream(table)
        with closing(StreamWriter.from_writable(file)) as writer:
            writer.write_stream(stream)
        file.seek(0)
        yield from iter(partial(file.read, 1 << 16), b"")


def _chosen(accept: str) -> Format:
    """Give the format that a client likes best, of those there are (RFC 9110, section 12.5.1)."""
    best: tuple[float, Format] | None = None
    for part in accept.split(","):
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        quality = _quality(parameters)
        found = _matching(media)
        if found is not None and quality > 0 and (best is None or quality > best[0]):
            best = (quality, found)
    if best is None:
        raise Problem(
            406,
            "not_acceptable",
            f"`{accept[:100]}` is no format of results",
            hint=f"there are {', '.join(_DOCUMENTED)}",
        )
    return best[1]


def _matching(media: str) -> Format | None:
    if media in MEDIA_TYPES:
        return MEDIA_TYPES[media]
    if media in ("", "*/*", "application/*", "application/json"):
        return "ndjson"
    return "csv" if media == "text/*" else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
