"""What the ledger asks of a database: pieces of work, each in one transaction, all or nothing.

A piece of work is a function of a connection. It may be called again after a transaction that was
rolled back, so it does nothing but talk to that connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

P = ParamSpec("P")
T = TypeVar("T")


class Transactions(Protocol):
    """Read and write transactions on one ledger, with its errors translated."""

    location: str
    """The database as people may see it."""

    def write(
        self,
        name: str,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do the work and commit it; it passes the failpoints of that name."""

    def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do the work in one snapshot of the ledger, whatever others write meanwhile."""

    def look(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do work that reads without a snapshot: each statement sees what is committed by then.

        For work of one statement, or of several that may differ by a moment: on a database behind
        a network it saves two of three answers that have to be waited for.
        """

    def dispose(self) -> None:
        """Close every connection."""
