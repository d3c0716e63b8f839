"""`/jobs/{job_id}/events`: what happens to a job, as it happens, by server-sent events.

Of all who follow one job only one asks the ledger. Nothing is kept for a client but the number of
the event that it has got: who reads slowly, or never, costs what the socket holds. The events have
the ledger's ids, so that a client which comes back goes on behind the last one that it has seen.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from pravah.api.callers import READER
from pravah.api.parameters import JobId
from pravah.api.problems import Problem, busy
from pravah.api.schemas import documented, text_answer
from pravah.api.streams import Stream
from pravah.errors import NotFoundError, PravahError

if TYPE_CHECKING:
    from pravah.api.service import Service
    from pravah.api.threads import Threads
    from pravah.jobs.service import JobService
    from pravah.model.job import Event, Job

# How often a job that is followed is looked at: as often as the command line does.
POLL_S = 0.5
# A line that says nothing keeps proxies from closing the connection, and finds out who has gone.
SILENCE_S = 15.0
# Events read at once, and kept for those who are nearly up to date.
_PAGE = 100
_KEPT = 256
# Read at once for a client that is behind: what it holds until it reads, and what is done for
# nothing where it never does. A hundred would cost a thousand such clients 200 MB.
_HISTORY_PAGE = 20
MOST_CLIENTS = 5_000
MEDIA_TYPE = "text/event-stream"

router = APIRouter(tags=["jobs"], dependencies=[READER])


class Feeds:
    """The jobs that are followed, each by one task, and how many follow them."""

    def __init__(self, jobs: JobService, threads: Threads) -> None:
        self._jobs = jobs
        self._threads = threads
        self._feeds: dict[str, _Feed] = {}
        self.clients = 0
        self._stopped = False

    async def follow(self, job_id: str, after: int) -> AsyncIterator[bytes]:
        """Give what happens to a job behind an event, until it has ended."""
        if self._stopped:
            return
        feed = self._feeds.get(job_id)
        if feed is None:
            feed = self._feeds[job_id] = _Feed(self._jobs, self._threads, job_id)
        feed.clients += 1
        self.clients += 1
        try:
            async for piece in feed.stream(after):
                yield piece
        finally:
            self.clients -= 1
            feed.clients -= 1
            if feed.clients == 0 and self._feeds.get(job_id) is feed:
                del self._feeds[job_id]
                feed.stop()

    def close(self) -> None:
        """End every stream: clients come back to another server."""
        self._stopped = True
        for feed in self._feeds.values():
            feed.stop()
        self._threads.close()


class _Feed:
    """One job as it is looked at, for all who follow it."""

    def __init__(self, jobs: JobService, threads: Threads, job_id: str) -> None:
        self._jobs = jobs
        self._threads = threads
        self._job_id = job_id
        self.clients = 0
        # The newest events; `_before` is the one before the first of them.
        self._kept: deque[Event] = deque()
        self._before: int | None = None
        self._seen = 0
        self._job = b""
        self._changes = 0
        self._changed = asyncio.Event()
        self._over = False
        self._stopped = False
        self._watching = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Look at the job no more, and end every stream."""
        self._stopped = True
        self._watching.cancel()
        self._changed.set()

    async def stream(self, after: int) -> AsyncIterator[bytes]:
        """Give events in order, and between them how far the job is."""
        yield b"retry: 1000\n\n"
        shown = 0
        while not self._stopped:
            # Taken before anything is awaited: what changes from here on wakes the wait below.
            changed, over, seen = self._changed, self._over, self._seen
            changes, job = self._changes, self._job
            while after < seen:
                events = await self._behind(after)
                for event in events:
                    after = event.id
                    yield _event_lines(event)
                if not events:
                    break  # deleted meanwhile
            # It was looked at behind these events: it never moves the job back.
            if shown != changes and job:
                shown = changes
                yield job
            if over:
                return
            try:
                async with asyncio.timeout(SILENCE_S):
                    await changed.wait()
            except TimeoutError:
                yield b": still there\n\n"

    async def _behind(self, after: int) -> list[Event]:
        """Give events behind one: those that are kept, else some of the ledger's."""
        if self._before is not None and after >= self._before:
            return [event for event in self._kept if event.id > after]
        return await self._threads.run(self._jobs.events_page, self._job_id, after, _HISTORY_PAGE)

    async def _watch(self) -> None:
        """Look at the job again and again: first at its events, then at the job."""
        last: dict[str, Any] | None = None
        while not self._over:
            try:
                events, job = await self._threads.run(self._look)
            except NotFoundError:
                events, job, self._over = [], None, True  # deleted meanwhile
            except (PravahError, Problem):
                await asyncio.sleep(POLL_S)  # the ledger is away; it comes back, or the client goes
                continue
            self._take(events)
            form = None if job is None else job.to_dict()
            self._over = self._over or (job is not None and job.status.ended)
            if form != last and form is not None:
                last, self._job = form, _job_lines(form)
                self._changes += 1
            self._changed.set()
            self._changed = asyncio.Event()
            await asyncio.sleep(POLL_S)

    def _look(self) -> tuple[list[Event], Job]:
        """Give new events, then the job; where that has ended, what came in between as well."""
        events = self._new_events(self._seen)
        job = self._jobs.get(self._job_id)
        if job.status.ended:
            events += self._new_events(events[-1].id if events else self._seen)
        return events, job

    def _new_events(self, seen: int) -> list[Event]:
        if seen == 0:
            # Whoever follows reads the history by itself: only its end is of interest here.
            last = self._jobs.last_event(self._job_id)
            return self._jobs.events_page(self._job_id, last - 1, 1) if last else []
        found: list[Event] = []
        while events := self._jobs.events_page(self._job_id, seen, _PAGE):
            found += events
            seen = events[-1].id
        return found

    def _take(self, events: list[Event]) -> None:
        for event in events:
            if self._before is None:
                self._before = event.id - 1
            self._kept.append(event)
            self._seen = event.id
        while len(self._kept) > _KEPT:
            self._before = self._kept.popleft().id


def _event_lines(event: Event) -> bytes:
    data = json.dumps(event.to_dict())
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n".encode()


def _job_lines(form: dict[str, Any]) -> bytes:
    return f"event: job\ndata: {json.dumps(form)}\n\n".encode()


_EXAMPLE = 'id: 7\nevent: job_complete\ndata: {"id": 7, "job": "job_01KB…"}\n\n'


@router.get(
    "/jobs/{job_id}/events",
    operation_id="follow_job",
    summary="Follow a job",
    response_class=Response,
    responses={
        **documented(200, text_answer(MEDIA_TYPE, _EXAMPLE), 404),
        204: {"description": "It has ended, and nothing has happened since."},
    },
)
async def follow_job(
    request: Request,
    job_id: JobId,
    last_event_id: Annotated[
        str | None, Header(description="Go on behind this event.", max_length=100)
    ] = None,
    after: Annotated[
        int, Query(ge=0, lt=1 << 62, description="The same, for whoever can't set headers.")
    ] = 0,
) -> Response:
    """Give events as they happen, each with its id, and `job` events with the job as it is.

    The stream ends when the job has ended. Who comes back then gets 204, and need not come again.
    """
    service: Service = request.app.state.service
    caller = request.state.caller
    begin = _number(last_event_id, after)

    def look() -> tuple[str, bool]:
        found = service.find(caller, job_id)
        ended = service.application.ledger.status(found)[0].ended
        return found, ended and begin > 0 and begin >= service.jobs.last_event(found)

    found, over = await service.quick.run(look)
    if over:
        return Response(status_code=204)
    if service.feeds.clients >= MOST_CLIENTS:
        raise busy("too many clients follow jobs")
    headers = {"X-Accel-Buffering": "no"}
    stream = service.feeds.follow(found, begin)
    return Stream(stream, headers=headers, media_type=MEDIA_TYPE)


def _number(text: str | None, otherwise: int) -> int:
    """Read the id that a browser sends back; one that is none of ours begins anew."""
    if text is not None and text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    return otherwise
