"""The log of whoever works on jobs: one line each on stderr, as text or as JSON, with fields.

It is Python's `logging` below the logger `pravah`: programs that embed Pravah send it where they
like, and see nothing below WARNING until they do. No line holds a password, and no name of a file
or message of another program can break one: whatever is not printable is escaped.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from pravah.model.ids import shown

# A line is a fact, not a document: what is longer is cut.
_LONGEST_VALUE = 2000
# The passwords of any URL, whoever wrote the message around it.
_PASSWORD = re.compile(r"(://[^\s:/?#@]*):\S*@")
_QUERY_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&\s`]*", re.IGNORECASE)
# A text without these needs no quotes to be one word.
_WORD = re.compile(r"[\w.:/@+%,-]+\Z", re.ASCII)

_logger = logging.getLogger("pravah")
_worker: str | None = None


def configure(
    level: str, form: str, stream: TextIO | None = None, *, outcomes: bool = True
) -> None:
    """Write the log to stderr from now on: `level` by its name, `form` is `text` or `json`.

    Without `outcomes` where something else tells them.
    """
    handler = _Handler(stream or sys.stderr)
    if not outcomes:
        handler.addFilter(lambda record: not getattr(record, "outcome", False))
    handler.setFormatter(_Json() if form == "json" else _Text())
    _logger.handlers = [handler]
    _logger.propagate = False
    _logger.setLevel(level)


def make_room(clear: Callable[[], None]) -> None:
    """Have `clear` called before each line: it takes away what is drawn where the line goes."""
    for handler in _logger.handlers:
        if isinstance(handler, _Handler):
            handler.clear = clear


def speaks_json() -> bool:
    """Tell whether stderr is for programs to read."""
    return any(isinstance(handler.formatter, _Json) for handler in _logger.handlers)


def work_as(worker_id: str | None) -> None:
    """Name the worker in each line from now on."""
    global _worker  # noqa: PLW0603 - a process is one worker
    _worker = worker_id


def debug(message: str, **fields: object) -> None:
    """Tell a developer."""
    _write(logging.DEBUG, message, fields)


def info(message: str, **fields: object) -> None:
    """Tell an operator what goes as it should."""
    _write(logging.INFO, message, fields)


def warning(message: str, **fields: object) -> None:
    """Tell an operator of trouble that is dealt with; `kind` is that of the error."""
    _write(logging.WARNING, message, fields)


def error(message: str, **fields: object) -> None:
    """Tell an operator of what somebody has to look at; `kind` is that of the error."""
    _write(logging.ERROR, message, fields)


def outcome(message: str, *, well: bool, **fields: object) -> None:
    """Tell what became of something, which the account of its job tells as well."""
    _write(logging.INFO if well else logging.WARNING, message, fields, outcome=True)


def relay(level: str, message: str, fields: Mapping[str, object]) -> None:
    """Write a line that another process has asked for."""
    _write(logging.getLevelNamesMapping().get(level, logging.WARNING), message, fields)


def _write(
    level: int, message: str, fields: Mapping[str, object], *, outcome: bool = False
) -> None:
    if _logger.isEnabledFor(level):
        _logger.log(level, "%s", message, extra={"fields": fields, "outcome": outcome})


class _Handler(logging.StreamHandler[TextIO]):
    """Writes where something may be drawn already."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.clear: Callable[[], None] = lambda: None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.clear()
        super().emit(record)


class _Text(logging.Formatter):
    """`TIME LEVEL message  name=value name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        words = [f"{name}={_word(value)}" for name, value in _fields(record).items()]
        head = f"{_time(record)} {record.levelname:<7} {_printable(_message(record))}"
        return "  ".join([head, " ".join(words)]) if words else head


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        head = {"at": _time(record), "level": record.levelname, "message": _message(record)}
        return json.dumps(head | _fields(record), default=str)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Give what a record says beside its message; what is not known is left out."""
    given: Mapping[str, object] = getattr(record, "fields", {})
    told = {name: _masked(value) for name, value in given.items() if value is not None}
    if isinstance(told.get("job"), str):
        told["job"] = shown(str(told["job"]).removeprefix(shown("")))
    return told | ({"worker": _worker} if _worker else {})


def _message(record: logging.LogRecord) -> str:
    lines = [record.getMessage()]
    if record.exc_info:
        lines.append(logging.Formatter().formatException(record.exc_info))
    return str(_masked("\n".join(lines)))


def _masked(value: object) -> object:
    """Hide passwords of URLs, and cut what is too long; numbers stay numbers."""
    if isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else str(value)
    text = _QUERY_PASSWORD.sub(r"\1********", _PASSWORD.sub(r"\1:********@", text))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _word(value: object) -> str:
    text = str(value)
    return text if _WORD.match(text) else json.dumps(text)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return json.dumps(letter)[1:-1] if letter != "\x7f" else "\\u007f"


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
