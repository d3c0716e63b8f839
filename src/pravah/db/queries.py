"""Loads `queries.sql`, where every statement of the ledger has a name and a description."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, TextClause, bindparam, text

_NAME = "-- name: "
# Parameters that stand for a list of values; each is sent as so many bound parameters.
_LISTS = ("sources", "directories", "ids")


class Named(NamedTuple):
    """One statement as the file has it."""

    name: str
    description: str
    sql: str


@cache
def query(name: str) -> TextClause:
    """Give the statement of that name, with its parameters unbound."""
    sql = _by_name()[name].sql
    listed: list[BindParameter[Any]] = [
        bindparam(key, expanding=True) for key in _LISTS if f":{key}" in sql
    ]
    return text(sql).bindparams(*listed)


def parse(source: str) -> Iterator[Named]:
    r"""Read statements: a name line, lines of description, SQL until the next name.

    >>> [named.name for named in parse("-- name: one\n-- Gives one.\nSELECT 1\n")]
    ['one']
    """
    for block in source.split(_NAME)[1:]:
        lines = block.splitlines()
        described = [line.removeprefix("--").strip() for line in lines[1:] if line.startswith("--")]
        statement = [line for line in lines[1:] if not line.startswith("--")]
        sql = "\n".join(statement).strip().rstrip(";")
        yield Named(lines[0].strip(), " ".join(described), sql)


@cache
def _by_name() -> dict[str, Named]:
    source = files("pravah.db").joinpath("queries.sql").read_text("utf-8")
    return {named.name: named for named in parse(source)}
