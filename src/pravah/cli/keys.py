"""`pravah keys`: the keys of the REST API. A key is shown once, when it is made."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli.application import opened_here
from pravah.cli.console import Console
from pravah.cli.figures import moment
from pravah.cli.names import printable
from pravah.cli.render import Column, table
from pravah.errors import SpecError
from pravah.model.keys import ApiKey, KeyLimits, Scope, digest, new_secret
from pravah.model.units import read_duration, read_size

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS = {
    "create": ("pravah.cli.keys:create", "Make a key, and show it once."),
    "list": ("pravah.cli.keys:list_keys", "List keys, and what they are for."),
    "revoke": ("pravah.cli.keys:revoke", "Have a key open nothing any more."),
}

_COLUMNS = [
    Column("ID"),
    Column("NAME", shrink="end"),
    Column("SCOPE"),
    Column("TEAM", shrink="end"),
    Column("CREATED"),
    Column("EXPIRES"),
    Column("USED"),
    Column("STATE"),
]


def create(
    name: Annotated[str, Argument(help="What it is called: who has it, and what for.")],
    console: Console,
    *,
    scope: Annotated[
        Scope, Option(help="Look at jobs, create and steer them, or those of every team.")
    ] = Scope.SUBMIT,
    team: Annotated[str, Option(help="The team of its jobs; it sees no others.")] = "",
    root: Annotated[
        list[str] | None, Option(metavar="DIR", help="Only below this directory; repeatable.")
    ] = None,
    connection: Annotated[
        list[str] | None, Option(metavar="NAME", help="Only this connection; repeatable.")
    ] = None,
    expires: Annotated[
        str | None, Option(metavar="DURATION", help="Open nothing after so long, as in 90d.")
    ] = None,
    rate: Annotated[
        float | None, Option(min=0.01, metavar="N", help="At most so many requests a second.")
    ] = None,
    jobs: Annotated[
        int | None, Option(min=1, metavar="N", help="At most so many unfinished jobs of its team.")
    ] = None,
    priority: Annotated[
        int | None, Option(min=-1000, max=1000, help="The highest priority of its jobs.")
    ] = None,
    memory: Annotated[
        str | None, Option(metavar="SIZE", help="The most memory that its jobs may ask for.")
    ] = None,
) -> None:
    """Make a key, and show it once.

    Only a hash of it is stored: who has lost it makes another one.
    """
    key_id, secret = new_secret()
    memory_bytes = None if memory is None else _read("--memory", read_size, memory)
    lives_s = None if expires is None else _read("--expires", read_duration, expires)
    key = ApiKey(
        id=key_id,
        name=name,
        scope=scope,
        digest=digest(secret),
        team=team,
        roots=_absolute(root),
        connections=None if connection is None else tuple(connection),
        limits=KeyLimits(rate, jobs, priority, memory_bytes),
        expires_us=None if lives_s is None else int((time.time() + lives_s) * 1e6),
    )
    with opened_here(console) as application:
        stored = application.keys.add(key)
    if console.json:
        console.data({**stored.to_dict(), "key": secret})
        return
    console.line(secret)
    console.say(f"key {key_id} of `{printable(name)}`, shown this once: keep it")


def list_keys(console: Console) -> None:
    """List keys, and what they are for."""
    with opened_here(console) as application:
        keys = application.keys.list()
    forms = [key.to_dict() for key in keys]
    if console.json:
        for form in forms:
            console.data(form)
    elif keys:
        now_us = time.time_ns() // 1000
        rows = [_row(form, key.usable(now_us)) for form, key in zip(forms, keys, strict=True)]
        console.lines(table(_COLUMNS, rows, console.columns))
    else:
        console.say("no keys; `pravah keys create NAME` makes one")


def revoke(
    key: Annotated[str, Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
    console: Console,
) -> None:
    """Have a key open nothing any more.

    Servers know within seconds.
    """
    with opened_here(console) as application:
        revoked = application.keys.revoke(key)
    if console.json:
        console.data(revoked.to_dict())
    else:
        console.say(f"key {revoked.id} of `{printable(revoked.name)}` opens nothing any more")


def _read(flag: str, read: "Callable[[str], float]", text: str) -> Any:  # noqa: ANN401 - what it reads
    try:
        return read(text)
    except ValueError as error:
        raise SpecError(f"{flag} {error}") from None


def _absolute(roots: list[str] | None) -> tuple[str, ...] | None:
    from pathlib import Path

    return None if roots is None else tuple(str(Path(root).absolute()) for root in roots)


def _row(form: Mapping[str, Any], usable: bool) -> list[str]:  # noqa: FBT001 - a fact of the row
    state = "usable" if usable else "revoked" if form["revoked_at"] else "expired"
    return [
        form["id"],
        printable(form["name"]),
        form["scope"],
        printable(form["team"] or "-"),
        *(_when(form[name]) for name in ("created_at", "expires_at", "used_at")),
        state,
    ]


def _when(time: str | None) -> str:
    return f"{moment(time):%Y-%m-%d %H:%M}Z" if time else "-"
