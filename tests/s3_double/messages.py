"""What goes in and out of an operation: a request that was read, an answer, an error."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """A request whose body was read; `path` and `query_text` are as they were sent."""

    method: str
    path: str
    query_text: str
    headers: dict[str, str]
    body: bytes
    bucket: str = ""
    key: bytes = b""
    query: dict[str, str] = field(default_factory=dict)
    operation: str = ""


@dataclass
class Response:
    """An answer; `sent_bytes` cuts its body, and `declared_bytes` belies its length."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent_bytes: int | None = None
    declared_bytes: int | None = None


class S3Error(Exception):
    """An answer that is an error, by its code on the wire."""

    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.headers = headers or {}


class LineCutError(Exception):
    """The connection is reset in place of an answer."""
