"""The checks of `pravah doctor s3://…`: each thing that a job would do there, tried once."""

from __future__ import annotations

from collections.abc import Iterator

from pravah.cli.checkup import Check
from pravah.errors import STORE_HINTS, PravahError
from pravah.model.uri import planned_uri

_UNREACHABLE = 7
# What a prefix that is only read does not need, and what a sink can do without.
_WRITING = {"put", "conditional", "delete"}
_UNSWEPT = (
    "what a killed worker has sent stays, unless a rule of the bucket ends incomplete uploads"
)


def store_checks(uri: str) -> Iterator[Check]:
    """Make every check of a prefix, one after the other; the core stops where none can follow."""
    from pravah import engine

    try:
        found = engine.check_store(f"{planned_uri(uri).rstrip('/')}/")
    except PravahError as error:
        yield Check("s3", error.message, "failed", error.hint, _UNREACHABLE)
        return
    yield Check("s3", f"{found['endpoint']}, keys from {found['origin']}")
    for tried in found["tried"]:
        took = f"{tried['text']} ({tried['duration_s'] * 1e3:.0f} ms)"
        if tried["kind"] is None:
            yield Check(tried["what"], took)
            continue
        hint = STORE_HINTS.get(tried["kind"])
        if tried["what"] in _WRITING:
            hint = hint or "a sink needs it; a source does without"
        if tried["what"] == "uploads":
            hint = _UNSWEPT
        is_needed = tried["kind"] != "weak_fencing" and tried["what"] != "uploads"
        code = _UNREACHABLE if is_needed else 0
        yield Check(tried["what"], tried["text"], "failed" if code else "warning", hint, code)
