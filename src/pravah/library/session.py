"""Opens the application for one call, and works on a job in a way that can be stopped.

Whoever waits may give up: by Ctrl-C in the main thread, or by `stoppable` from another one. Then
the job pauses, once nothing is half-written.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING

from pravah import bootstrap

if TYPE_CHECKING:
    from pravah.bootstrap import Application


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
def opened(ledger: str | None) -> Iterator[Application]:
    """Open the application; a ledger that is not there is made."""
    application = bootstrap.application(bootstrap.settings_of(ledger))
    try:
        yield application
    finally:
        application.close()


@contextmanager
def existing(ledger: str | None) -> Iterator[Application]:
    """Open the application for jobs that there are: a ledger that was named is not made."""
    bootstrap.require_ledger(bootstrap.settings_of(ledger))
    with opened(ledger) as application:
        yield application


def work(application: Application, job_id: str) -> None:
    """Work on a job here until it ends or pauses; KeyboardInterrupt where Ctrl-C has paused it."""
    supervisor = application.jobs.supervisor(job_id)
    stop = stoppable.get() or Stop()
    stop.begin(supervisor.drain)
    with _interrupts(stop) as interrupted:
        supervisor.run()
    if interrupted():
        raise KeyboardInterrupt


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
