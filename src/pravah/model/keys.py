"""API keys: who calls, what for, and how far the caller may reach.

A key is `prv_ID_SECRET`. The ledger has the id and a hash of the whole; the secret is shown once.
It has 192 random bits, so that a plain hash keeps it as safe as a slow one would.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pravah.model.units import write_time

_FORM = re.compile(r"prv_([0-9a-f]{12})_[0-9a-f]{48}\Z")


class Scope(StrEnum):
    """What a key is for; each may what the one before it may."""

    READ = "read"  # look at jobs
    SUBMIT = "submit"  # create and steer them
    ADMIN = "admin"  # those of every team, where the key has none

    def covers(self, wanted: Scope) -> bool:
        """Tell whether a key of this scope may do what needs another."""
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a key may take; None: as much as everybody."""

    requests_per_s: float | None = None
    unfinished_jobs: int | None = None
    """Of the key's team."""
    priority: int | None = None
    """The highest that its jobs may have."""
    memory_bytes: int | None = None
    """The most that a job of it may ask for in `limits.memory`."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the ledger has it; times in microseconds since 1970."""

    id: str
    name: str
    scope: Scope
    digest: str
    team: str = ""
    roots: tuple[str, ...] | None = None
    """Directories below which its jobs stay; None: all that the operator allows."""
    connections: tuple[str, ...] | None = None
    """Connections that its jobs may use; None: all that the operator has named."""
    limits: KeyLimits = field(default_factory=KeyLimits)
    created_us: int = 0
    expires_us: int | None = None
    revoked_us: int | None = None
    used_us: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form; nothing in it helps to use the key."""
        limits = {name: getattr(self.limits, name) for name in KeyLimits.__slots__}
        return {
            "id": self.id,
            "name": self.name,
            "scope": str(self.scope),
            "team": self.team,
            "roots": None if self.roots is None else list(self.roots),
            "connections": None if self.connections is None else list(self.connections),
            "limits": {name: value for name, value in limits.items() if value is not None},
            "created_at": write_time(self.created_us),
            "expires_at": write_time(self.expires_us),
            "revoked_at": write_time(self.revoked_us),
            "used_at": write_time(self.used_us),
        }

    def usable(self, now_us: int) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked_us is None and (self.expires_us is None or self.expires_us > now_us)


def new_secret() -> tuple[str, str]:
    """Make a key; give its id and the text that is shown once."""
    key_id = secrets.token_hex(6)
    return key_id, f"prv_{key_id}_{secrets.token_hex(24)}"


def id_of(text: str) -> str | None:
    """Give the id of a key as it is sent; None where it can't be one."""
    found = _FORM.match(text)
    return found[1] if found else None


def digest(text: str) -> str:
    """Give what the ledger keeps of a key.

    >>> digest("prv_x") == digest("prv_x"), len(digest("prv_x"))
    (True, 64)
    """
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
