"""Opens the application for a command: settings, and the ledger or the server that they choose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pravah.bootstrap import Application
    from pravah.cli.console import Console
    from pravah.jobs.service import JobService
    from pravah.remote.application import RemoteApplication
    from pravah.remote.jobs import RemoteJobs
    from pravah.settings import Settings

# What commands act on: both have the same methods, as far as commands need them.
AnyApplication: TypeAlias = "Application | RemoteApplication"
AnyJobs: TypeAlias = "JobService | RemoteJobs"


def settings_for(console: Console) -> Settings:
    """Read the settings, with the ledger that `--ledger` names in place of theirs."""
    from pravah.bootstrap import settings_of

    return settings_of(console.ledger)


class Talk(Enum):
    """How much of the log a command shows."""

    ALL = "all"  # from LOG_LEVEL on
    TROUBLE = "trouble"  # it has a display of its own: what that does not tell, unless by `-v`


def start_log(console: Console, settings: Settings, talk: Talk) -> None:
    """Write the log to stderr from LOG_LEVEL on, with `-q` errors only, with `-v` more."""
    from pravah.jobs import log

    level = str(settings.get("LOG_LEVEL"))
    if console.quiet:
        level = "ERROR"
    elif talk is Talk.ALL and console.verbose:
        level = "DEBUG"
    elif talk is Talk.TROUBLE and not console.verbose and level in ("DEBUG", "INFO"):
        level = "WARNING"
    form, outcomes = str(settings.get("PRAVAH_LOG_FORMAT")), talk is Talk.ALL or console.verbose
    log.configure(level, form, outcomes=outcomes)


@contextmanager
def existing(console: Console) -> Iterator[AnyApplication]:
    """Open the application for jobs that there are: a ledger that was named is not made."""
    from pravah.bootstrap import require_ledger

    if _is_local(console):
        require_ledger(settings_for(console))
    with opened(console) as application:
        yield application


@contextmanager
def opened(console: Console) -> Iterator[AnyApplication]:
    """Open the application: that of a server where PRAVAH_URL names one, else the ledger's."""
    from pravah.bootstrap import remote_application

    found = None if _is_local(console) else remote_application(settings_for(console))
    if found is None:
        with opened_here(console) as application:
            yield application
        return
    try:
        yield found
    finally:
        found.close()


@contextmanager
def opened_here(console: Console) -> Iterator[Application]:
    """Open the ledger's application, and close it at the end; for what only it can do."""
    from pravah.bootstrap import application

    opened_application = application(settings_for(console))
    try:
        yield opened_application
    finally:
        opened_application.close()


def is_here(application: AnyApplication) -> bool:
    """Tell whether the ledger is worked with here, so that its jobs' local paths are here, too."""
    from pravah.bootstrap import Application

    return isinstance(application, Application)


def _is_local(console: Console) -> bool:
    """Tell whether the ledger is meant, whatever server there is."""
    named = console.local or console.ledger is not None
    return named or settings_for(console).get("PRAVAH_URL") is None
