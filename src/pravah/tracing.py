"""Traces by OpenTelemetry, where somebody has said where they go; nothing is imported otherwise.

A span is written once what it tells of has ended, by whoever saw the end: a server its requests,
workers the attempts of tasks and the ends of jobs. So spans need no context that outlives a
process: their ids follow from what they are about, and a job keeps the `traceparent` of the
request that created it (W3C Trace Context, level 1).
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\Z")
_SAMPLED = 1
# Whoever ends waits so long for what is still to be sent.
_FLUSH_MS = 3_000

_processor: Any = None
_resource: Any = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: a span that there is, or will be."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def parse(cls, text: str | None) -> Trace | None:
        """Read a `traceparent`; None where it is none.

        >>> Trace.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").span_id
        'b7ad6b7169203331'
        """
        found = _FORM.match(text or "")
        if found is None or not int(found[1], 16) or not int(found[2], 16):
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & _SAMPLED))

    @classmethod
    def about(cls, what: str) -> Trace:
        """Give the place that follows from what a trace is about."""
        digest = hashlib.sha256(what.encode()).hexdigest()
        return cls(digest[:32], digest[32:48])

    def child(self, what: str | None = None) -> Trace:
        """Give a place below this one: a new one, or that which follows from what it is about."""
        span_id = os.urandom(8).hex() if what is None else Trace.about(what).span_id
        return replace(self, span_id=span_id)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


@dataclass(frozen=True, slots=True)
class Span:
    """Something that has ended."""

    name: str
    place: Trace
    parent: Trace | None
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int | float | bool]
    error: str | None = None
    """What went wrong, if anything did."""
    serves: bool = False
    """Whether it answered somebody's request."""


def configure(endpoint: str | None) -> bool:
    """Send spans to an OTLP endpoint from now on; False where OpenTelemetry is not installed."""
    global _processor, _resource  # noqa: PLW0603 - a process has one place to send its spans to
    if endpoint is None or _processor is not None or _is_disabled():
        return True
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return False
    # What the operator says by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES has precedence.
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "pravah"}
    _resource = Resource.create(named)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    _processor = BatchSpanProcessor(exporter)
    return True


def enabled() -> bool:
    """Tell whether spans go anywhere."""
    return _processor is not None


def write(span: Span) -> None:
    """Have a span sent, in the background."""
    if _processor is not None and span.place.sampled:
        _processor.on_end(_readable(span))


def flush() -> None:
    """Wait until what was written is sent, or for some seconds."""
    if _processor is not None:
        _processor.force_flush(_FLUSH_MS)


def _is_disabled() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"


def _readable(span: Span) -> Any:  # noqa: ANN401 - a type of the library, which may not be there
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.status import Status, StatusCode

    failed = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET)
    return ReadableSpan(
        name=span.name,
        context=_context(span.place),
        parent=None if span.parent is None else _context(span.parent),
        resource=_resource,
        attributes=dict(span.attributes),
        kind=SpanKind.SERVER if span.serves else SpanKind.INTERNAL,
        instrumentation_scope=InstrumentationScope("pravah"),
        status=failed,
        start_time=span.began_ns,
        end_time=span.ended_ns,
    )


def _context(place: Trace) -> Any:  # noqa: ANN401 - as above
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(int(place.sampled)),
    )
