"""`pravah doctor`: checks what Pravah needs of this machine. Leaves nothing behind."""

from typing import Annotated

from typer import Argument

from pravah.cli.application import settings_for
from pravah.cli.checkup import Check, checks
from pravah.cli.console import Console
from pravah.cli.exit_codes import ExitCode
from pravah.cli.names import printable
from pravah.cli.render import Painter, Style, pairs
from pravah.cli.store_checkup import store_checks
from pravah.cli.store_note import tell_note
from pravah.model.uri import absolute_uri, is_object_uri


def doctor(
    console: Console,
    place: Annotated[
        str | None,
        Argument(help="Check the disk of this directory, or an s3://BUCKET/PREFIX/."),
    ] = None,
) -> int:
    """Check what Pravah needs of this machine.

    With a place in an object store: what a job would do there, each thing tried once.
    """
    if place is not None and is_object_uri(uri := absolute_uri(place, b"/")):
        tell_note(uri)
        done = list(store_checks(uri))
    else:
        done = list(checks(settings_for(console), place))
    if console.json:
        for check in done:
            console.data(check.to_dict())
    else:
        painter = console.painter
        console.lines(pairs([(check.name, _told(check, painter)) for check in done]))
    return next((check.exit_code for check in done if check.exit_code), ExitCode.OK)


def _told(check: Check, painter: Painter) -> str:
    sign, style = {
        "ok": ("✓", Style.GOOD),
        "warning": ("!", Style.WARN),
        "failed": ("✗", Style.BAD),
    }[check.verdict]
    lines = [f"{printable(check.text)}   {painter.paint(sign, style)}"]
    lines += [f"hint: {printable(check.hint)}"] if check.hint else []
    return "\n".join(lines)
