"""The files that came with requests: each upload is a directory below the data directory.

It comes into being beside the others, gets the name of its job before that is created, and lives as
long as the job: who deletes the one removes the other. What nobody removed (a dead server's, a
pruned job's) is swept now and then. Uploads of one ledger lie apart from those of another.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pravah.api.multipart import (
    MEDIA_TYPE,
    Reception,
    Upload,
    boundary_of,
    no_room,
    sync_directory,
)
from pravah.api.problems import Problem, busy
from pravah.api.threads import Threads
from pravah.errors import NotFoundError, PravahError, SettingError
from pravah.jobs import log
from pravah.model.ids import new_id, typed
from pravah.model.units import read_size

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.requests import Request

    from pravah.model.ledger import Ledger
    from pravah.settings import Settings

# An upload takes a connection and some disk: so many at once, and so long for each.
AT_ONCE = 16
LASTS_S = 600.0
# The ledger may lie on the same disk: what uploads never take of it.
KEPT_FREE_BYTES = 256 << 20
# Heads of parts, and the spec, beside the files.
_BESIDE_BYTES = 2 << 20
_ARRIVING = "arriving-"
# Far longer than an upload, and the creation of its job behind it, take.
_OLD_S = 3600.0
SWEEP_S = 600.0


class Uploads:
    """Takes uploads, and removes those whose jobs are gone."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._ledger = ledger
        # A ledger that knows nothing of a job must not have the files of another one's removed.
        name = hashlib.sha256(ledger.location.encode()).hexdigest()[:16]
        self._root = settings.home / "uploads" / name
        self._files_bytes = _limit_bytes(settings)
        self.most_bytes = self._files_bytes + _BESIDE_BYTES
        self._places = AT_ONCE
        self._threads = Threads("uploads", threads=2, waiting=AT_ONCE)

    def meant(self, method: str, path: str, headers: Headers) -> bool:
        """Tell whether a request brings files, and may."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = self._files_bytes > 0 and (method, path) == ("POST", "/jobs")
        return wanted and kind == MEDIA_TYPE

    async def watch(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            with suppress(PravahError, Problem):  # the ledger is away: later
                await self._threads.run(self.sweep)
            await asyncio.sleep(SWEEP_S)

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Upload]:
        """Give what comes with a request; what of it no job has got by the end is removed."""
        if self._places == 0:
            raise busy("too many uploads are under way")
        self._places -= 1
        try:
            boundary = boundary_of(request.headers.get("content-type", ""))
            directory = await self._threads.run(self._begin)
            try:
                yield await self._take(request, Reception(directory, boundary))
            finally:
                # Also where the client has gone: nothing is awaited that could be cancelled.
                shutil.rmtree(directory, ignore_errors=True)
        finally:
            self._places += 1

    def keep(self, upload: Upload, job_id: str) -> Path:
        """Give an upload the name of its job, before that is created.

        What a server that died has left there came with the same request: the same bytes.
        """
        place = self._root / job_id
        try:
            upload.directory.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        # The first upload of all has made the directories above it, too.
        for directory in (self._root, self._root.parent, self._root.parent.parent):
            sync_directory(directory)
        return place

    def remove(self, job_id: str) -> None:
        """Remove the files of a job that is gone, if any came with it."""
        shutil.rmtree(self._root / job_id, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what lies there for long, and no job has."""
        for directory, job_id in self._old():
            if job_id is None or not self._is_known(job_id):
                shutil.rmtree(directory, ignore_errors=True)
                log.info("an upload without a job is removed", directory=str(directory))

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.close()

    def _begin(self) -> Path:
        try:
            directory = self._root / f"{_ARRIVING}{new_id()}"
            directory.mkdir(mode=0o700, parents=True)
            free_bytes = shutil.disk_usage(directory).free
        except OSError as error:
            log.error("can't take an upload", error=str(error))
            raise no_room() from error
        if free_bytes < self._files_bytes + KEPT_FREE_BYTES:
            directory.rmdir()
            raise no_room()
        return directory

    async def _take(self, request: Request, reception: Reception) -> Upload:
        try:
            async for piece in request.stream():
                if piece:
                    await self._threads.run(reception.take, piece)
            return await self._threads.run(reception.finish)
        finally:
            reception.close()

    def _old(self) -> Iterator[tuple[Path, str | None]]:
        before_s = time.time() - _OLD_S
        for directory in self._root.glob("*"):
            try:
                old = directory.stat().st_mtime < before_s
            except OSError:
                continue  # somebody else has removed it
            if old:
                arriving = directory.name.startswith(_ARRIVING)
                yield directory, None if arriving else typed(directory.name)

    def _is_known(self, job_id: str) -> bool:
        try:
            self._ledger.status(job_id)
        except NotFoundError:
            return False
        return True


def _limit_bytes(settings: Settings) -> int:
    text = str(settings.get("PRAVAH_UPLOAD_LIMIT"))
    try:
        return 0 if text == "0" else read_size(text)
    except ValueError as error:
        raise SettingError(
            f"PRAVAH_UPLOAD_LIMIT {error}", hint="as in `64MiB`; `0`: no files are taken"
        ) from None
