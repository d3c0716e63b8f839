"""Loads `queries.sql`, where every statement of the ledger has a name and a description.

A statement is SQLite's and PostgreSQL's alike, unless one called `NAME for postgresql` takes its
place there. `:now_us` is the ledger's clock: the database's on PostgreSQL, where workers of many
machines meet, and this machine's on SQLite, which has one host. `:passing_over` has a claim leave
out what others claim or change at this moment, instead of waiting for it; SQLite has one writer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    LargeBinary,
    String,
    TextClause,
    bindparam,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

_NAME = "-- name: "
_POSTGRESQL = " for postgresql"
_CLOCK = ":now_us"
_PASSING_OVER = ":passing_over"
_SKIP_LOCKED = "FOR UPDATE OF t SKIP LOCKED FOR SHARE OF j SKIP LOCKED"
_DATABASE_CLOCK = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
# Parameters that stand for a list of values; each is sent as so many bound parameters.
_LISTS = ("sources", "directories", "ids")
# Parameters whose type PostgreSQL can't tell from where they stand, or from a value that is NULL.
_TYPES = {
    "before": String,
    "entries": BigInteger,
    "error": String,
    "below_id": BigInteger,
    "failed_only": Boolean,
    "frontier": LargeBinary,
    "job_id": String,
    "kind": String,
    "labels": String,
    "name": String,
    "parent_id": BigInteger,
    "report": String,
    "results": String,
    "round": BigInteger,
    "share": String,
    "size_bytes": BigInteger,
    "status": String,
    "suspects": String,
}


class Named(NamedTuple):
    """One statement as the file has it."""

    name: str
    description: str
    sql: str


class Query(TextClause):
    """A statement, and what takes its place on PostgreSQL."""

    inherit_cache = True
    postgresql: TextClause


@compiles(Query, "postgresql")
def _compile_for_postgresql(
    element: Query,
    compiler: SQLCompiler,
    **options: Any,  # noqa: ANN401  SQLAlchemy's own
) -> str:
    sql: str = compiler.visit_textclause(element.postgresql, **options)  # type: ignore[no-untyped-call]
    return sql


@cache
def query(name: str) -> TextClause:
    """Give the statement of that name, with its parameters unbound."""
    statements = _by_name()
    own = statements[name].sql.replace(_PASSING_OVER, "")
    foreign = statements.get(name + _POSTGRESQL, statements[name]).sql
    found = Query(own)
    foreign = foreign.replace(_PASSING_OVER, _SKIP_LOCKED)
    found.postgresql = text(foreign.replace(_CLOCK, _DATABASE_CLOCK))
    found.postgresql = found.postgresql.bindparams(*_lists(foreign), *_typed(foreign))
    clock: list[BindParameter[Any]] = (
        [bindparam("now_us", callable_=_now_us)] if _CLOCK in own else []
    )
    return found.bindparams(*_lists(own), *clock)


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


def _lists(sql: str) -> list[BindParameter[Any]]:
    return [bindparam(key, expanding=True) for key in _LISTS if f":{key}" in sql]


def _typed(sql: str) -> list[BindParameter[Any]]:
    used = set(re.findall(r"(?<!:):(\w+)", sql))
    return [bindparam(key, type_=kind) for key, kind in _TYPES.items() if key in used]


def _now_us() -> int:
    return time.time_ns() // 1000
