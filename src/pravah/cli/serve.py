"""`pravah serve`: the REST API, and workers beside it.

The process becomes the server: nothing of the command line stays in its memory.
"""

import os
import sys
from typing import Annotated

from typer import Option

from pravah.cli.application import settings_for
from pravah.cli.console import Console


def serve(
    console: Console,
    *,
    workers: Annotated[
        int | None,
        Option(min=0, max=1000, help="Worker processes to start (default: PRAVAH_WORKERS, 1)."),
    ] = None,
    host: Annotated[
        str | None, Option(help="Address to listen on (default: APP_HOST, 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, Option(min=1, max=65535, help="Port to listen on (default: APP_PORT, 8000).")
    ] = None,
) -> None:
    """Serve the REST API, with workers beside it.

    SIGTERM and Ctrl-C end it once what has begun is answered, and workers have left their tasks.
    """
    settings_for(console)  # what is wrong with them is said by this command
    given = {"--workers": workers, "--host": host, "--port": port, "--ledger": console.ledger}
    arguments = [
        part for name, value in given.items() if value is not None for part in (name, str(value))
    ]
    sys.stdout.flush()
    command = [sys.executable, "-m", "pravah.api", *arguments]
    if console.verbose:
        os.environ["LOG_LEVEL"] = "DEBUG"
    elif console.quiet:
        os.environ["LOG_LEVEL"] = "ERROR"
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, no shell
