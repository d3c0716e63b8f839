"""`pravah.Client`: the jobs of a server, by the calls and with the objects of the library."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, final

from pravah.errors import SettingError
from pravah.library.described import Keys, Path, Paths, Steps, job_spec
from pravah.library.job import Job
from pravah.library.jobs import status_of
from pravah.library.session import work
from pravah.settings import Settings, server_url

if TYPE_CHECKING:
    from pravah.jobs.preview import Preview
    from pravah.model.ledger import Worker


@final
class Client:
    """The jobs of one server; by default that of PRAVAH_URL, with the key of PRAVAH_API_KEY.

    Arguments are those of `pravah.run`; local paths are whole ones, as the server sees them. It may
    be used by several threads. A request whose answer was lost is sent again where that can't do
    anything twice, and a server that starts anew is waited for.

        with pravah.Client("http://127.0.0.1:8000", key="prv_…") as client:
            job = client.run("/data/in", to="/data/out", steps="compress")
            print(job.status, job.counts.done)

    Args:
        url: where the server is; `http://` or `https://`.
        key: what is sent as `Authorization: Bearer`.
    """

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        from pravah.remote.application import RemoteApplication

        settings = Settings()
        named = url or settings.get("PRAVAH_URL")
        if named is None:
            raise SettingError("no server is named", hint="`Client(url)`, or PRAVAH_URL")
        try:
            self._server = RemoteApplication(settings, server_url(str(named)), key)
        except ValueError as error:
            raise SettingError(f"url is `{named}`, {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; they open again when they are needed."""
        self._server.close()

    def plan(
        self,
        source: Paths | Mapping[str, Any] | None = None,
        to: Path | None = None,
        steps: Steps | None = None,
        *,
        spec: Path | Mapping[str, Any] | None = None,
        **keys: Unpack[Keys],
    ) -> Preview:
        """Have told what a job would do; as `pravah.plan`."""
        return self._server.preview(job_spec(source, to, steps, spec=spec, **keys))

    def create(
        self,
        source: Paths | Mapping[str, Any] | None = None,
        to: Path | None = None,
        steps: Steps | None = None,
        *,
        spec: Path | Mapping[str, Any] | None = None,
        new: bool = False,
        **keys: Unpack[Keys],
    ) -> Job:
        """Create a job for the server's workers; an unfinished one of the same spec goes on."""
        from pravah.jobs.service import Reuse

        described = job_spec(source, to, steps, spec=spec, **keys)
        reuse = Reuse.NOTHING if new else Reuse.UNFINISHED
        return Job(self._server.jobs.create(described, reuse=reuse).job, self._server)

    def run(
        self,
        source: Paths | Mapping[str, Any] | None = None,
        to: Path | None = None,
        steps: Steps | None = None,
        *,
        spec: Path | Mapping[str, Any] | None = None,
        new: bool = False,
        **keys: Unpack[Keys],
    ) -> Job:
        """Create a job, and wait until it ends or pauses."""
        job = self.create(source, to, steps, spec=spec, new=new, **keys)
        work(self._server, job.id)
        return job.refresh()

    def get(self, job: str) -> Job:
        """Give a job by its id, or by how that begins; NotFoundError where there is none."""
        return Job(self._server.jobs.get(job), self._server)

    def list(self, *, status: str | None = None, limit: int | None = None) -> builtins.list[Job]:
        """Give jobs, the latest first: those of a status, at most so many."""
        found = self._server.jobs.all(status_of(status))
        return [Job(job, self._server) for job in islice(found, limit)]

    def workers(self) -> builtins.list[Worker]:
        """Give who works on the server's jobs."""
        return self._server.jobs.workers()
