"""Opens the application for a command: settings, the chosen ledger, the job service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pravah.bootstrap import Application
    from pravah.cli.console import Console
    from pravah.settings import Settings


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
def existing(console: Console) -> Iterator[Application]:
    """Open the application for jobs that there are: a ledger that was named is not made."""
    from pravah.bootstrap import require_ledger

    require_ledger(settings_for(console))
    with opened(console) as application:
        yield application


@contextmanager
def opened(console: Console) -> Iterator[Application]:
    """Open the application, and close its ledger at the end."""
    from pravah.bootstrap import application

    opened_application = application(settings_for(console))
    try:
        yield opened_application
    finally:
        opened_application.close()
