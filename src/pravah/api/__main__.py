"""`python -m pravah.api`: serve the API, as `pravah serve` and `pdm run start-api` do."""

from __future__ import annotations

import argparse
import sys

from pravah.errors import PravahError


def main(arguments: list[str]) -> int:
    """Serve until told to stop; give the exit code."""
    try:
        _serve(_parser().parse_args(arguments))
    except PravahError as error:
        _tell(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pravah.api", description=__doc__)
    parser.add_argument("--host", help="address to listen on (APP_HOST)")
    parser.add_argument("--port", help="port to listen on (APP_PORT)")
    parser.add_argument("--workers", help="worker processes to start (PRAVAH_WORKERS)")
    parser.add_argument("--ledger", help="a ledger's file or database URL")
    return parser


def _serve(given: argparse.Namespace) -> None:
    import os

    told = {"APP_HOST": given.host, "APP_PORT": given.port, "PRAVAH_WORKERS": given.workers}
    # The workers and dry runs beside it have the same settings.
    os.environ |= {name: value for name, value in told.items() if value is not None}
    if given.ledger is not None:
        from pravah.bootstrap import settings_of

        os.environ["DATABASE_URL"] = settings_of(given.ledger).database_url

    from pravah.api.crew import Workers
    from pravah.api.server import listen, serve
    from pravah.api.service import THREADS
    from pravah.bootstrap import application
    from pravah.jobs import log
    from pravah.settings import Settings

    settings = Settings()
    form = str(settings.get("PRAVAH_LOG_FORMAT"))
    log.configure(str(settings.get("LOG_LEVEL")), form)
    listener = listen(str(settings.get("APP_HOST")), int(settings.get("APP_PORT") or 0))
    # To open one takes longer than most answers.
    opened = application(settings, connections=THREADS)
    try:
        # Opened before anybody is let in: a ledger that can't be used is told of at once.
        opened.ledger.find_ids("0")
        workers = Workers(int(settings.get("PRAVAH_WORKERS") or 0))
        workers.start()
        serve(opened, listener, workers)
    finally:
        listener.close()
        opened.close()


def _tell(error: PravahError) -> None:
    lines = [f"error: {error.message}", *(f"  {cause}" for cause in error.causes)]
    if error.hint:
        lines.append(f"hint: {error.hint}")
    sys.stderr.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
