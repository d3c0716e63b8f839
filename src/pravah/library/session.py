"""Opens the application for one call, and works on a job in a way that can be stopped.

Whoever waits may give up: by Ctrl-C in the main thread, or by `stoppable` from another one. Then
the job pauses, once nothing is half-written; a server's job goes on.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from pravah import bootstrap
from pravah.model.status import JobStatus

if TYPE_CHECKING:
    from pravah.bootstrap import Application
    from pravah.remote.application import RemoteApplication

# Where jobs are: a ledger's file or URL, that of the settings (None), or a server.
Where: TypeAlias = "str | RemoteApplication | None"
# Who waits for a server's job asks that often.
_POLL_S = 0.5


class Stop:
    """A request to stop that may come before, during and after the work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._drain: Callable[[], None] | None = None

    def __call__(self) -> None:
        """Ask the work to stop; asked again, it stops at once."""
        with self._lock:
            self._asked += 1
            if self._drain is not None:
                self._drain()

    @property
    def asked(self) -> bool:
        """Whether anybody has asked."""
        return self._asked > 0

    def begin(self, drain: Callable[[], None]) -> None:
        """Pass requests on to this work, also those that came before."""
        with self._lock:
            self._drain = drain
            for _ in range(self._asked):
                drain()


# What stops the work of a call that another thread waits for.
stoppable: ContextVar[Stop | None] = ContextVar("stoppable", default=None)


@contextmanager
def opened(where: Where) -> Iterator[Application | RemoteApplication]:
    """Open the application; a ledger that is not there is made, a server is open already."""
    if where is not None and not isinstance(where, str):
        yield where
        return
    application = bootstrap.application(bootstrap.settings_of(where))
    try:
        yield application
    finally:
        application.close()


@contextmanager
def existing(where: Where) -> Iterator[Application | RemoteApplication]:
    """Open the application for jobs that there are: a ledger that was named is not made."""
    if where is None or isinstance(where, str):
        bootstrap.require_ledger(bootstrap.settings_of(where))
    with opened(where) as application:
        yield application


def work(application: Application | RemoteApplication, job_id: str) -> None:
    """Work on a job here until it ends or pauses; KeyboardInterrupt where Ctrl-C has paused it.

    A server's job is waited for.
    """
    if not isinstance(application, bootstrap.Application):
        _await(application, job_id)
        return
    supervisor = application.jobs.supervisor(job_id)
    stop = stoppable.get() or Stop()
    stop.begin(supervisor.drain)
    with _interrupts(stop) as interrupted:
        supervisor.run()
    if interrupted():
        raise KeyboardInterrupt


def _await(server: RemoteApplication, job_id: str) -> None:
    stop = stoppable.get() or Stop()
    while not stop.asked:
        status = server.jobs.get(job_id).status
        if status.ended or status == JobStatus.PAUSED:
            return
        time.sleep(_POLL_S)


@contextmanager
def _interrupts(stop: Stop) -> Iterator[Callable[[], bool]]:
    """Have Ctrl-C stop the work, where it would interrupt it; tell whether it did."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    pressed: list[int] = []

    def press(number: int, _frame: FrameType | None) -> None:
        pressed.append(number)
        stop()

    signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
