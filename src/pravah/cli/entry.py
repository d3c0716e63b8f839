"""Runs one command line and turns whatever happens into words and an exit code.

The only place that catches everything: a traceback reaches nobody without `--debug`.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

import typer

from pravah.cli.app import command
from pravah.cli.command import ReaderGoneError
from pravah.cli.exit_codes import ExitCode
from pravah.cli.names import printable
from pravah.cli.streams import printing
from pravah.errors import MachineError, PravahError

ISSUES_URL = "https://github.com/your-org/pravah/issues"


def run(arguments: Sequence[str]) -> int:
    """Run the command that these arguments name; give its exit code."""
    debug = "--debug" in arguments
    warnings.showwarning = _warn
    # Until a command knows better: what is begun is ended as by Ctrl-C, and told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = command().main(list(arguments), prog_name="pravah", standalone_mode=False)
        printing(sys.stdout.flush)
    except PravahError as error:
        return _told(error, debug=debug)
    except typer.TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        _say(["interrupted"])
        return ExitCode.INTERRUPTED
    except (ReaderGoneError, BrokenPipeError):
        return _reader_went_away()
    except Exception as error:  # noqa: BLE001 - the last resort, see above
        if isinstance(error, OSError) and MachineError.explains(error):
            return _told(MachineError.of("the system refuses what is needed", error), debug=debug)
        return _bug(error, debug=debug)
    return code if isinstance(code, int) else ExitCode.OK


def error_lines(error: PravahError) -> list[str]:
    """Write an error for people: what failed, the causes, what to do next."""
    lines = [f"error: {_safe(error.message)}"]
    lines += [f"  {_safe(cause)}" for cause in error.causes]
    if error.hint:
        lines.append(f"hint: {_safe(error.hint)}")
    return lines


def _told(error: PravahError, *, debug: bool) -> int:
    if debug:
        _traceback()
    log = sys.modules.get("pravah.jobs.log")
    if log is not None and log.speaks_json():
        hint = error.hint
        log.error(error.message, kind=error.kind, causes="; ".join(error.causes) or None, hint=hint)
        return error.exit_code
    _say(error_lines(error))
    return error.exit_code


def _usage(error: typer.TyperException) -> int:
    text = error.format_message().strip() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        _say([text])
        return ExitCode.USAGE
    path = context.command_path if context is not None else "pravah"
    # The parser's sentence becomes ours: lower case, backticks, the guess in the hint.
    what, _, guess = text.replace("'", "`").rstrip(".").partition(". Did you mean ")
    what = what.partition(" (Possible options")[0]
    if options := getattr(error, "possibilities", None):
        guess = f"`{options[0]}`"
    meant = f"did you mean {guess.rstrip('?')}? " if guess else ""
    _say(
        [
            f"error: {_safe(what[:1].lower() + what[1:])}",
            f"hint: {meant}`{path} --help` shows what it takes",
        ]
    )
    return ExitCode.USAGE


def _warn(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001 - the signature is Python's
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Tell a warning in the form of an error, without the place in the code."""
    _say([f"warning: {_safe(str(message))}"])


def _bug(error: Exception, *, debug: bool) -> int:
    if debug:
        _traceback()
    name = type(error).__name__
    if isinstance(error, ImportError) and "_core" in str(error):
        _say(
            [
                f"error: the core, pravah._core, can't be loaded: {_safe(str(error))}",
                "hint: in a checkout `make build-rust` builds it; else install the package again",
            ]
        )
        return ExitCode.BUG
    _say(
        [
            f"error: a bug of ours: {name}: {_safe(str(error))}",
            f"hint: please report it with the output of the same command and --debug: {ISSUES_URL}",
        ]
    )
    return ExitCode.BUG


def _traceback() -> None:
    import traceback

    traceback.print_exc()


def _reader_went_away() -> int:
    # Python would write what is buffered at exit, and fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.BROKEN_PIPE


def _say(lines: Sequence[str]) -> None:
    encoding = sys.stderr.encoding or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()


def _safe(text: str) -> str:
    return "\n  ".join(printable(line) for line in text.split("\n"))
