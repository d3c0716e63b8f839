"""Where output goes: data to stdout, everything else to stderr; colour only on a terminal.

`Console` is also the group of options that every command takes.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from shutil import get_terminal_size
from typing import Annotated, Any, TextIO

from typer import Option

from pravah.cli.render import Painter
from pravah.cli.streams import printing

# Lines with something at their right end have this width where no terminal says otherwise.
PLAIN_COLUMNS = 100


@dataclass(frozen=True)
class Console:
    """The options that every command has, and the two streams as they are to be used."""

    json: Annotated[bool, Option("--json", help="Print data as JSON.")] = False
    quiet: Annotated[bool, Option("--quiet", "-q", help="Print errors only.")] = False
    verbose: Annotated[bool, Option("--verbose", "-v", help="Say more.")] = False
    ledger: Annotated[
        str | None, Option(metavar="FILE", help="Use this ledger file or database URL.")
    ] = None
    local: Annotated[
        bool, Option("--local", help="Use the ledger here, not the server of PRAVAH_URL.")
    ] = False
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.")] = False

    def line(self, text: str = "") -> None:
        """Print a line of text for people to stdout."""
        printing(lambda: sys.stdout.write(f"{_encodable(text)}\n"))

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines of text for people to stdout."""
        for text in lines:
            self.line(text)

    def data(self, value: Mapping[str, Any] | list[Any]) -> None:
        """Print one JSON value on a line of its own to stdout."""
        # Every stream can take ASCII, and programs read the same from it.
        in_ascii = not _is_utf_8(sys.stdout)
        text = json.dumps(value, ensure_ascii=in_ascii, default=str) + "\n"
        printing(lambda: sys.stdout.write(text))

    def raw(self, chunks: Iterable[bytes]) -> None:
        """Write bytes to stdout as they are."""
        printing(sys.stdout.flush)
        for chunk in chunks:
            printing(partial(sys.stdout.buffer.write, chunk))
        printing(sys.stdout.buffer.flush)

    def say(self, text: str = "") -> None:
        """Tell people something on stderr, unless they asked for quiet."""
        if not self.quiet:
            sys.stderr.write(f"{_encodable(text)}\n")
            sys.stderr.flush()

    def detail(self, text: str) -> None:
        """Tell people something on stderr if they asked for more."""
        if self.verbose:
            self.say(text)

    @property
    def painter(self) -> Painter:
        """Paint for stdout."""
        return Painter(_shows_colour(sys.stdout))

    @property
    def painter_err(self) -> Painter:
        """Paint for stderr."""
        return Painter(_shows_colour(sys.stderr))

    @property
    def columns(self) -> int | None:
        """Give the width of the terminal that stdout is; None: nothing needs shortening."""
        return get_terminal_size().columns if sys.stdout.isatty() else None

    @property
    def columns_err(self) -> int:
        """Give the width for text on stderr."""
        return get_terminal_size().columns if sys.stderr.isatty() else PLAIN_COLUMNS


def die_of_interrupts() -> None:
    """Let Ctrl-C end this process at once, also inside the core: there is nothing to clean up."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a stream can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _shows_colour(stream: TextIO) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def _is_utf_8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("_", "-") in ("utf-8", "utf8")


def _encodable(text: str) -> str:
    # A stream in the C locale can't take `✓`, and a name may hold lone surrogates.
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
