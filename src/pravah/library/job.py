"""One job, as programs hold it: what is known of it, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from pravah.library.results import Results
from pravah.library.session import Where, existing, work
from pravah.model.ids import shown

if TYPE_CHECKING:
    from pravah.bootstrap import Application
    from pravah.jobs.undo import Undone
    from pravah.model.job import Counts, Failure
    from pravah.model.job import Job as Snapshot
    from pravah.model.status import JobStatus
    from pravah.remote.application import RemoteApplication


@final
class Job:
    """A job in a ledger, or of a server. Its facts are of the last look; `refresh` looks again.

    Every method that changes the job looks again, too, and gives this object back.

    >>> import pravah
    >>> job = pravah.run("data/", to="out/", steps="compress")
    >>> job.status == "completed", job.counts.done, job.counts.failed
    (True, 2, 0)
    >>> sorted(file["outcome"] for file in job.files())
    ['done', 'done']
    """

    def __init__(self, snapshot: Snapshot, where: Where) -> None:
        self._snapshot = snapshot
        self._where = where

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.status}: {self.counts.done} of {self.counts.listed} done>"

    @property
    def id(self) -> str:
        """The id, `job_…`; ids sort by the time of their creation."""
        return shown(self._snapshot.id)

    @property
    def name(self) -> str | None:
        """The name that the spec gives it."""
        return self._snapshot.name

    @property
    def status(self) -> JobStatus:
        """`pending`, `running`, `paused`, `completed`, `failed` or `cancelled`; a string."""
        return self._snapshot.status

    @property
    def counts(self) -> Counts:
        """The books: `listed`, and every outcome by its name."""
        return self._snapshot.books.counts

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed as a whole, or why Pravah has paused it: `kind`, `message`, `hint`."""
        return self._snapshot.error or self._snapshot.paused_by

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form, the same as `pravah jobs show --json` prints."""
        return self._snapshot.to_dict()

    def refresh(self) -> Job:
        """Look at it again."""
        with existing(self._where) as application:
            return self._look(application)

    def wait(self) -> Job:
        """Work on it here until it ends or pauses, beside whoever else works on it.

        A server's job is waited for: its workers work on it.

        Ctrl-C pauses it once nothing is half-written, and raises KeyboardInterrupt; the same
        spec, or `resume().wait()`, goes on with it.

        >>> import pravah
        >>> print(pravah.jobs.create("data/", steps="count").wait().status)
        completed
        """
        with existing(self._where) as application:
            work(application, self._snapshot.id)
            return self._look(application)

    def pause(self) -> Job:
        """Have it stop once nothing is half-written; `resume` goes on with it."""
        with existing(self._where) as application:
            return self._take(application.jobs.pause(self._snapshot.id))

    def cancel(self) -> Job:
        """Have it end; what is published stays."""
        with existing(self._where) as application:
            return self._take(application.jobs.cancel(self._snapshot.id))

    def resume(self, *, adopt: bool = False) -> Job:
        """Put it back to pending; a worker, or `wait`, goes on with it.

        Args:
            adopt: files that are equal to its outputs count as those; after a ledger that was
                set back.
        """
        with existing(self._where) as application:
            return self._take(application.jobs.resume(self._snapshot.id, adopt=adopt))

    def retry(self, group: str | None = None) -> Job:
        """Put its failed files back to work, under the same id.

        Args:
            group: only those of a failure group, by its id such as `F1`.
        """
        with existing(self._where) as application:
            return self._take(application.jobs.retry(self._snapshot.id, group))

    def undo(self, *, dry_run: bool = False) -> Undone:
        """Take back the outputs that it created and that are as it left them; tell how many."""
        with existing(self._where) as application:
            return application.jobs.undo(self._snapshot.id, dry_run=dry_run)

    def delete(self) -> None:
        """Remove it from the ledger once it has ended; its outputs stay."""
        with existing(self._where) as application:
            application.jobs.delete(self._snapshot.id)

    def files(
        self, outcome: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Give the account of each file in its wire form, a task's at a time.

        Args:
            outcome: only files of this outcome, such as `failed`.
            limit: at most so many.
        """
        with existing(self._where) as application:
            for line in application.jobs.files(self._snapshot.id, outcome, limit):
                yield json.loads(line)

    def failures(self) -> list[Failure]:
        """Give the failures in groups of one cause each, the largest first."""
        with existing(self._where) as application:
            return application.jobs.failures(self._snapshot.id)

    def results(self) -> Results:
        """Give what its inspect steps found: records, an Arrow stream, files."""
        return Results(self._snapshot.id, self._where)

    def report(self) -> dict[str, Any]:
        """Give the closing account of its last round, or the account so far."""
        with existing(self._where) as application:
            return application.jobs.report(self._snapshot.id)

    def _look(self, application: Application | RemoteApplication) -> Job:
        return self._take(application.jobs.get(self._snapshot.id))

    def _take(self, snapshot: Snapshot) -> Job:
        self._snapshot = snapshot
        return self
