"""Idempotency: what became of a request that may be sent again under the same key.

As Stripe's: the same key and body get the same answer, another body is refused, and while the
first request is still worked on so is the second one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under a key of its sender's choice."""

    owner: str
    """Whose key it is: two senders may choose the same one."""
    key: str
    digest: str
    """Of what is asked for."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """The request is ours to carry out, with this id for what it creates.

    Whoever carries out what somebody else began and did not end has that one's id, so that nothing
    is created twice.
    """

    job_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """It was carried out before."""

    status: int
    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It can't be carried out now: the key stands for something else, or it is being worked on."""

    other_body: bool


Reservation = Reserved | Answered | Refused
