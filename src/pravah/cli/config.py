"""`pravah config`: the settings, and where each came from. Secrets are masked."""

from typing import Annotated

from typer import Option

from pravah.cli.console import Console
from pravah.cli.render import Column, table
from pravah.settings import Settings

COMMANDS = {"show": ("pravah.cli.config:show", "Show every setting.")}


def show(
    console: Console,
    *,
    origin: Annotated[bool, Option("--origin", help="Say where each value came from.")] = False,
) -> None:
    """Show every setting."""
    origins = Settings().origins()
    if console.json:
        for setting in origins:
            console.data(setting.to_dict())
        return
    columns = [Column("NAME"), Column("VALUE", shrink="middle")]
    columns += [Column("ORIGIN")] if origin else []
    columns += [Column("MEANING", shrink="end")]
    rows = [
        [s.name, "-" if s.value is None else s.value, *([s.origin] if origin else []), s.summary]
        for s in origins
    ]
    console.lines(table(columns, rows, console.columns))
