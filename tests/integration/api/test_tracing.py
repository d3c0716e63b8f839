"""Spans, as a real receiver of OTLP over HTTP gets them: a request, its job, and its tasks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.api.serving import Server
from tests.integration.workspace import Workspace

PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Receiver(ThreadingHTTPServer):
    """Takes spans, and gives them by their names."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def named(self, name: str) -> list[Any]:
        return [span for span in list(self.spans) if span.name == name]

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline_s, [span.name for span in self.spans]
            time.sleep(0.1)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def facts(span: Any) -> dict[str, Any]:
    """Give the attributes of a span."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


def test_request_job_and_tasks_are_one_trace(each_workspace: Workspace, receiver: Receiver) -> None:
    each_workspace.fill(3)
    own = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    server = Server(each_workspace, workers=1, **own)
    try:
        trace_id, parent_id = PARENT
        headers = {"traceparent": f"00-{trace_id}-{parent_id}-01", "X-Request-ID": "mine"}
        job_id = server.create("copy", headers=headers)
        server.ended(job_id)
        receiver.wait(lambda: bool(receiver.named("job")) and len(receiver.named("task scan")) > 0)
        receiver.wait(lambda: bool(receiver.named("task entries") and receiver.named("POST /jobs")))
        (request,), (job,) = receiver.named("POST /jobs"), receiver.named("job")
        tasks = receiver.named("task scan") + receiver.named("task entries")
        assert {span.trace_id.hex() for span in (request, job, *tasks)} == {trace_id}
        assert request.parent_span_id.hex() == parent_id
        assert job.parent_span_id == request.span_id
        assert {task.parent_span_id for task in tasks} == {job.span_id}
        assert facts(request)["http.response.status_code"] == 201
        assert facts(request)["pravah.request"] == "mine"
        assert (facts(job)["pravah.job"], facts(job)["pravah.done"]) == (job_id, 3)
        assert {facts(task)["pravah.how"] for task in tasks} == {"finished"}
        spans = (request, job, *tasks)
        assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
        assert f"trace={trace_id}" in server.log.read_text()
        # Whoever is not sampled is left out, with the job.
        unsampled = {"traceparent": f"00-{trace_id[::-1]}-{parent_id}-00"}
        server.ended(server.create("copy", sink=f"{each_workspace.root}/b", headers=unsampled))
        own_trace = server.create("copy", sink=f"{each_workspace.root}/c")
        server.ended(own_trace)
        receiver.wait(lambda: len(receiver.named("job")) == 2)
        assert facts(receiver.named("job")[1])["pravah.job"] == own_trace
        assert receiver.named("job")[1].trace_id.hex() not in (trace_id, trace_id[::-1])
    finally:
        server.stop()


def test_receiver_that_is_away_holds_up_nobody(workspace: Workspace) -> None:
    workspace.fill(1)
    server = Server(workspace, workers=1, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert server.ended(server.create("copy"))["status"] == "completed"
    assert server.stop() == 0


def test_nothing_is_imported_where_no_receiver_is_named() -> None:
    code = """
import sys
import pravah.bootstrap
pravah.bootstrap.application().close()
import pravah.jobs.supervisor
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")], sys.modules
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", code], check=True, env={**kept, "PRAVAH_ENV_FILE": ""})
