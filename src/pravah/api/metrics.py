"""Figures in Prometheus' text format. Labels are routes, classes of statuses and statuses of jobs.

None is taken from what callers send: paths that do not exist count under one name.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from pravah import __version__
from pravah.api.callers import READER
from pravah.api.schemas import documented, text_answer
from pravah.errors import PravahError

if TYPE_CHECKING:
    from pravah.api.service import Service

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Around the targets: 10 and 50 ms for a POST, 25 ms for a GET.
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
STATUSES = ("pending", "running", "paused")

router = APIRouter()


@dataclass(slots=True)
class _Durations:
    """A histogram of one route's requests."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0


class Metrics:
    """Counts requests; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._durations: dict[str, _Durations] = {}

    def note(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Count a request of a route, which is a template and no path."""
        with self._lock:
            self._requests[route, method, f"{status // 100}xx"] += 1
            durations = self._durations.setdefault(route, _Durations())
            durations.buckets[bisect_left(BUCKETS_S, duration_s)] += 1
            durations.sum_s += duration_s

    def lines(self) -> list[str]:
        """Write what was counted."""
        name = "pravah_http_requests_total"
        lines = [f"# HELP {name} Requests that were answered.", f"# TYPE {name} counter"]
        with self._lock:
            for (route, method, status), count in sorted(self._requests.items()):
                lines.append(
                    f'{name}{{route="{route}",method="{method}",status="{status}"}} {count}'
                )
            name = "pravah_http_request_duration_seconds"
            lines += [f"# HELP {name} Time to the last byte.", f"# TYPE {name} histogram"]
            for route, durations in sorted(self._durations.items()):
                lines += _histogram(name, route, durations)
        return lines


def _histogram(name: str, route: str, durations: _Durations) -> list[str]:
    lines, so_far = [], 0
    for bound, count in zip((*BUCKETS_S, "+Inf"), durations.buckets, strict=True):
        so_far += count
        lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {so_far}')
    lines.append(f'{name}_sum{{route="{route}"}} {durations.sum_s:.6f}')
    lines.append(f'{name}_count{{route="{route}"}} {so_far}')
    return lines


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    tags=["operations"],
    dependencies=[READER],
    response_class=Response,
    responses=documented(200, text_answer("text/plain", "pravah_ledger_up 1\n")),
)
async def get_metrics(request: Request) -> Response:
    """Give the figures of this server and of its ledger."""
    service: Service = request.app.state.service
    lines = [
        "# HELP pravah_info The release.",
        "# TYPE pravah_info gauge",
        f'pravah_info{{version="{__version__}"}} 1',
        *service.metrics.lines(),
        *_gauge("pravah_event_streams", "Streams of events that are open.", service.feeds.clients),
        *await service.quick.run(_ledger_lines, service),
    ]
    return Response("\n".join(lines) + "\n", media_type=MEDIA_TYPE)


def _ledger_lines(service: Service) -> list[str]:
    try:
        by_status, leased = service.application.ledger.figures()
        workers = service.jobs.workers()
    except PravahError:
        return _gauge("pravah_ledger_up", "Whether the ledger answers.", 0)
    name = "pravah_jobs"
    lines = [f"# HELP {name} Jobs that have not ended.", f"# TYPE {name} gauge"]
    lines += [f'{name}{{status="{each}"}} {by_status.get(each, 0)}' for each in STATUSES]
    return [
        *_gauge("pravah_ledger_up", "Whether the ledger answers.", 1),
        *lines,
        *_gauge("pravah_tasks_in_work", "Tasks that a worker holds.", leased),
        *_gauge("pravah_workers", "Workers of the ledger.", len(workers)),
    ]


def _gauge(name: str, meaning: str, value: float) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
