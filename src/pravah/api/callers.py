"""Who calls: a key becomes a caller, with a scope, a team and limits.

Without a key nobody comes in, unless the server listens on this machine alone and nobody has made
a key. What is sent is compared as a hash, in constant time.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from fastapi import Depends, Request

from pravah.api.parameters import refuse_unknown
from pravah.api.problems import Problem
from pravah.errors import SettingError
from pravah.jobs import log
from pravah.model.keys import ApiKey, KeyLimits, Scope, digest, id_of, new_secret

if TYPE_CHECKING:
    from pravah.db.keyring import Keyring
    from pravah.settings import Settings

# A key that is revoked opens nothing after so long; the ledger is asked that often.
_KNOWN_S = 2.0
# Keys that are remembered, those that do not exist included.
_KNOWN_KEYS = 1000
ADMIN_KEY_FILE = "admin.key"
# When the ledger was asked for a key, and what it gave.
_Known = tuple[float, "ApiKey | None"]
_NEVER: _Known = (float("-inf"), None)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="pravah"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    name: str
    key_id: str
    scope: Scope
    team: str | None
    """The team whose jobs there are for this caller; None: all teams."""
    roots: tuple[str, ...] | None = None
    connections: tuple[str, ...] | None = None
    limits: KeyLimits = field(default_factory=KeyLimits)

    @classmethod
    def of(cls, key: ApiKey) -> Caller:
        """Give whoever holds a key; an admin's that names no team sees every team."""
        everyone = key.scope is Scope.ADMIN and not key.team
        return cls(
            name=key.name,
            key_id=key.id,
            scope=key.scope,
            team=None if everyone else key.team,
            roots=key.roots,
            connections=key.connections,
            limits=key.limits,
        )


ADMIN = Caller(name="admin", key_id="admin", scope=Scope.ADMIN, team=None)
LOCAL = Caller(name="local", key_id="local", scope=Scope.ADMIN, team=None)


class Callers:
    """Tells who calls; safe to ask from several threads."""

    def __init__(self, keyring: Keyring, admin_key: str | None, *, loopback: bool) -> None:
        self._keyring = keyring
        self._admin_digest = None if admin_key is None else digest(admin_key)
        self.may_be_open = loopback and admin_key is None
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._open: tuple[float, bool] = (float("-inf"), False)

    def recognise(self, authorization: str | None) -> Caller | None:
        """Give a caller who was identified a moment ago, without a look into the ledger."""
        if authorization is None:
            asked_s, found = self._open
            return LOCAL if self.may_be_open and found and _is_recent(asked_s) else None
        text = _secret_of(authorization)
        if self._is_admin(text):
            return ADMIN
        with self._lock:
            asked_s, key = self._known.get(id_of(text) or "", _NEVER)
        return Caller.of(key) if _is_recent(asked_s) and _opens(key, text) else None

    def identify(self, authorization: str | None) -> Caller:
        """Give the caller of a request; Problem where it opens nothing."""
        if authorization is None:
            if self.open:
                return LOCAL
            raise Problem(
                401,
                "key_missing",
                "this server wants a key with each request",
                hint="send `Authorization: Bearer prv_…`; `pravah keys create` makes one",
                headers=_CHALLENGE,
            )
        text = _secret_of(authorization)
        if self._is_admin(text):
            return ADMIN
        key = self._find(text)
        if not _opens(key, text):
            raise _unusable()
        self._keyring.note_use(key, time.time_ns() // 1000)
        return Caller.of(key)

    @property
    def open(self) -> bool:
        """Whether everybody on this machine may come in: nobody has made a key."""
        if not self.may_be_open:
            return False
        asked_s, found = self._open
        if not _is_recent(asked_s):
            found = not self._keyring.any()
            self._open = (time.monotonic(), found)
        return found

    def _is_admin(self, text: str) -> bool:
        known = self._admin_digest
        return known is not None and hmac.compare_digest(digest(text), known)

    def _find(self, text: str) -> ApiKey | None:
        key_id = id_of(text)
        if key_id is None:
            return None
        with self._lock:
            asked_s, found = self._known.get(key_id, _NEVER)
        if _is_recent(asked_s):
            return found
        found = self._keyring.find(key_id)
        with self._lock:
            self._known[key_id] = (time.monotonic(), found)
            self._known.move_to_end(key_id)
            while len(self._known) > _KNOWN_KEYS:
                self._known.popitem(last=False)
        return found


def _is_recent(asked_s: float) -> bool:
    return time.monotonic() - asked_s <= _KNOWN_S


def _secret_of(authorization: str) -> str:
    """Give what a bearer has sent; empty where it is nothing that opens."""
    scheme, _, text = authorization.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _opens(key: ApiKey | None, text: str) -> TypeGuard[ApiKey]:
    return (
        key is not None
        and hmac.compare_digest(digest(text), key.digest)
        and key.usable(time.time_ns() // 1000)
    )


def require(caller: Caller, scope: Scope) -> None:
    """Refuse what a key is not for."""
    if not caller.scope.covers(scope):
        raise Problem(
            403,
            "scope_missing",
            f"the key is for `{caller.scope}`, this needs `{scope}`",
            hint=f"`pravah keys create --scope {scope}` makes one",
        )


async def _reads(request: Request) -> None:
    refuse_unknown(request)
    require(request.state.caller, Scope.READ)


async def _submits(request: Request) -> None:
    refuse_unknown(request)
    require(request.state.caller, Scope.SUBMIT)


# What a route asks of its caller.
READER = Depends(_reads)
SUBMITTER = Depends(_submits)


def admin_key(settings: Settings, *, loopback: bool) -> str | None:
    """Give the admin's key: of the settings, else of the data directory where one is needed.

    The first start that needs one writes it there, for this user's eyes only; no log has it.
    """
    if told := settings.get("PRAVAH_ADMIN_KEY"):
        return str(told)
    if named := settings.get("PRAVAH_ADMIN_KEY_FILE"):
        return _read(Path(str(named)))
    if loopback:
        return None
    path = settings.home / ADMIN_KEY_FILE
    if not path.exists():
        _write_new(path)
    log.info("the admin's key is in a file", path=str(path))
    return _read(path)


def _read(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"can't read the admin's key in {path}",
            causes=(str(getattr(error, "strerror", None) or error).lower(),),
            hint="PRAVAH_ADMIN_KEY_FILE names a file that this user can read",
        ) from error
    if len(text) < 16:
        raise SettingError(
            f"the admin's key in {path} has {len(text)} characters, at least 16 are expected",
            hint="remove the file: the next start makes a new key",
        )
    return text


def _write_new(path: Path) -> None:
    """Write a new key: whole, and readable for nobody else at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(new_secret()[1] + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return  # Another server was faster; its key is as good.
    finally:
        fresh.unlink(missing_ok=True)


def _unusable() -> Problem:
    """Say the same of every key that opens nothing: unknown, wrong, revoked, expired."""
    return Problem(
        401,
        "key_invalid",
        "the key opens nothing: it is unknown, revoked or expired",
        hint="`pravah keys list` shows which keys there are",
        headers=_CHALLENGE,
    )
