"""The services that hand out keys, as each module here has them answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import HTTPServer

import pytest


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[str]:
    """Serve a module's `Services` on this machine; give the address."""
    server = HTTPServer(("127.0.0.1", 0), request.module.Services)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
