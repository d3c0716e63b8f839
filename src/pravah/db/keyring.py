"""The API keys of a ledger: only hashes are stored; one that was revoked stays, and is told of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row

from pravah.db.queries import query
from pravah.db.transactions import Transactions
from pravah.errors import NotFoundError
from pravah.model.keys import ApiKey, KeyLimits, Scope

# A key's last use is written at most this often.
USED_EVERY_US = 60_000_000


class Keyring:
    """Adds, finds and revokes keys, one transaction each."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(self, key: ApiKey) -> ApiKey:
        """Store a key; give it as it is stored."""
        self._transactions.write("add_key", _add, key)
        found = self.find(key.id)
        assert found is not None  # noqa: S101 - it was stored a moment ago
        return found

    def find(self, key_id: str) -> ApiKey | None:
        """Give the key of an id, also one that is revoked or has expired."""
        return self._transactions.read(_find, key_id)

    def list(self) -> list[ApiKey]:
        """Give every key, the oldest first."""
        return self._transactions.read(_list)

    def any(self) -> bool:
        """Tell whether there is a key that is not revoked."""
        return self._transactions.read(_any)

    def revoke(self, key_id: str) -> ApiKey:
        """Have a key open nothing any more; one that is revoked stays as it is."""
        self._transactions.write("revoke_key", _revoke, key_id)
        found = self.find(key_id)
        if found is None:
            raise NotFoundError(
                f"no key `{key_id}`", kind="key_not_found", hint="`pravah keys list` shows them all"
            )
        return found

    def note_use(self, key: ApiKey, now_us: int) -> None:
        """Note that a key was used, unless that was noted a moment ago."""
        if key.used_us is None or now_us - key.used_us >= USED_EVERY_US:
            self._transactions.write("use_key", _use, key.id)


def _add(connection: Connection, key: ApiKey) -> None:
    values = {
        "id": key.id,
        "name": key.name,
        "scope": str(key.scope),
        "digest": key.digest,
        "team": key.team,
        "roots": _written(key.roots),
        "connections": _written(key.connections),
        "limits": json.dumps(asdict(key.limits)),
        "expires_us": key.expires_us,
    }
    connection.execute(query("add_key"), values)


def _find(connection: Connection, key_id: str) -> ApiKey | None:
    row = connection.execute(query("get_key"), {"id": key_id}).first()
    return None if row is None else _key(row)


def _list(connection: Connection) -> list[ApiKey]:
    return [_key(row) for row in connection.execute(query("list_keys"))]


def _any(connection: Connection) -> bool:
    return connection.execute(query("any_key")).first() is not None


def _revoke(connection: Connection, key_id: str) -> None:
    connection.execute(query("revoke_key"), {"id": key_id})


def _use(connection: Connection, key_id: str) -> None:
    connection.execute(query("use_key"), {"id": key_id})


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scope=Scope(row.scope),
        digest=row.digest,
        team=row.team,
        roots=_read(row.roots),
        connections=_read(row.connections),
        limits=KeyLimits(**json.loads(row.limits)),
        created_us=row.created_us,
        expires_us=row.expires_us,
        revoked_us=row.revoked_us,
        used_us=row.used_us,
    )


def _written(names: Sequence[str] | None) -> str | None:
    return None if names is None else json.dumps(list(names))


def _read(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))
