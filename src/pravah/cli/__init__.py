"""The command line. Its commands are listed in `commands.py`, one module or package per noun.

Nothing heavy is imported here: a command imports what it needs when it runs.
"""

import atexit
import gc
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run `pravah` with this process's arguments; never returns."""
    from pravah.cli.streams import make_usable

    make_usable()
    arguments = sys.argv[1:]
    # Imports make a hundred thousand objects that stay: looking through them for cycles again and
    # again is a twentieth of the start.
    gc.set_threshold(100_000, 20, 20)
    # Ours has no plugins for Pydantic; looking for some reads what every installed package is.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # What scripts, prompts and newcomers ask for does not pay for the parser's import.
    if arguments == ["--version"]:
        print_version()
        sys.exit(0)
    if arguments in (["--help"], ["-h"]):
        from pravah.cli.commands import root_help

        sys.stdout.write(root_help())
        sys.exit(0)
    from pravah.cli.entry import run

    _leave(run(arguments))


def _leave(code: int) -> NoReturn:
    """End the process at once: taking the interpreter apart costs a tenth of a second.

    Commands have closed what they opened by now; only what is buffered or registered is left.
    """
    if "logging" in sys.modules:
        sys.modules["logging"].shutdown()
    atexit._run_exitfuncs()  # noqa: SLF001 - what Python itself would call now
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    os._exit(code)


def print_version() -> None:
    """Print the version of the installed package."""
    from pravah import __version__

    sys.stdout.write(f"pravah {__version__}\n")
