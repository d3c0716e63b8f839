"""Answers to requests that may be sent again, in the ledger, so that they outlive a server."""

from __future__ import annotations

from sqlalchemy import Connection

from pravah.db.queries import query
from pravah.db.transactions import Transactions
from pravah.model.replies import Answered, Asked, Refused, Reservation, Reserved

# Stripe keeps them as long; a client that tries again does so within minutes.
KEPT_US = 24 * 3600 * 1_000_000
# A server that has not answered for so long is dead: its request may be carried out by another.
ABANDONED_US = 60_000_000
# Old answers that one reservation removes.
_DROPPED_AT_ONCE = 10


class Replies:
    """Reserves, answers and gives back requests, one transaction each."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def reserve(self, asked: Asked, job_id: str) -> Reservation:
        """Say whether a request is to be carried out, and with which id."""
        return self._transactions.write("reserve_reply", _reserve, asked, job_id)

    def answer(self, asked: Asked, status: int, answer: str) -> None:
        """Keep the answer to a request."""
        self._transactions.write("answer_reply", _answer, asked, status, answer)

    def give_back(self, asked: Asked) -> None:
        """Forget a request that was refused: nothing was created, another body may come."""
        self._transactions.write("drop_reply", _drop, asked)

    def abandon(self, asked: Asked) -> None:
        """Leave a request of which nobody knows what came of it to whoever sends it again."""
        self._transactions.write("abandon_reply", _abandon, asked)


def _reserve(connection: Connection, asked: Asked, job_id: str) -> Reservation:
    values = {"owner": asked.owner, "request_key": asked.key}
    old = {"kept_us": KEPT_US, "wanted": _DROPPED_AT_ONCE}
    connection.execute(query("drop_old_replies"), old)
    added = connection.execute(
        query("add_reply"), {**values, "digest": asked.digest, "job_id": job_id}
    )
    if added.rowcount:
        return Reserved(job_id)
    row = connection.execute(query("get_reply"), values).one()
    if row.digest != asked.digest:
        return Refused(other_body=True)
    if row.answer is not None:
        return Answered(row.status, row.answer)
    taken = connection.execute(query("take_reply"), {**values, "abandoned_us": ABANDONED_US})
    return Reserved(row.job_id) if taken.rowcount else Refused(other_body=False)


def _answer(connection: Connection, asked: Asked, status: int, answer: str) -> None:
    values = {"owner": asked.owner, "request_key": asked.key}
    connection.execute(query("answer_reply"), {**values, "http_status": status, "answer": answer})


def _drop(connection: Connection, asked: Asked) -> None:
    connection.execute(query("drop_reply"), {"owner": asked.owner, "request_key": asked.key})


def _abandon(connection: Connection, asked: Asked) -> None:
    values = {"owner": asked.owner, "request_key": asked.key, "abandoned_us": ABANDONED_US}
    connection.execute(query("abandon_reply"), values)
