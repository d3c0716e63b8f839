"""The application of a server: what commands and library ask of `bootstrap.Application`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pravah.remote.jobs import RemoteJobs
from pravah.remote.transport import Transport

if TYPE_CHECKING:
    from pravah.jobs.preview import Preview
    from pravah.model.spec import JobSpec
    from pravah.settings import Settings

_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|::1)\Z", re.IGNORECASE)
# Where a server on this machine leaves the admin's key for its own user.
ADMIN_KEY_FILE = "admin.key"


class RemoteApplication:
    """A server, as the settings name it; nothing is asked before something is needed of it."""

    def __init__(self, settings: Settings, url: str, key: str | None = None) -> None:
        self.settings = settings
        self._transport = Transport(url, key or _key(settings, url))
        self.jobs = RemoteJobs(self._transport)

    def start_runner(self) -> None:
        """Do nothing: the server's workers have runners of their own."""

    def preview(self, spec: JobSpec) -> Preview:
        """Tell what a job of this spec would do."""
        return self.jobs.preview(spec)

    def close(self) -> None:
        """Close what is open."""
        self._transport.close()


def _key(settings: Settings, url: str) -> str | None:
    """Give the key of the settings; for a server on this machine, else the admin's of this user."""
    if told := settings.get("PRAVAH_API_KEY"):
        return str(told)
    if not _LOOPBACK.match(urlsplit(url).hostname or ""):
        return None  # the admin's key is for no other machine
    if told := settings.get("PRAVAH_ADMIN_KEY"):
        return str(told)
    named = settings.get("PRAVAH_ADMIN_KEY_FILE")
    try:
        return Path(str(named or settings.home / ADMIN_KEY_FILE)).read_text("ascii").strip()
    except OSError:
        return None  # a server on this machine may be open; another one says what is missing
