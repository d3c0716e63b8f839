"""The root of the command line as Typer sees it."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from pravah.cli.command import CONTEXT, LazyGroup, add_stubs
from pravah.cli.commands import COMMANDS, OPTIONS, SUMMARY, root_help


class RootGroup(LazyGroup):
    """The root group; its help is the one that is also printed without a parser."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - Typer's types are private
        """Write the help."""
        formatter.write(root_help())


app = typer.Typer(
    name="pravah",
    cls=RootGroup,
    help=SUMMARY,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=CONTEXT,
)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help=OPTIONS["--version"])] = False,  # noqa: FBT002
) -> None:
    """Take the options that come before a command."""
    if version:
        from pravah.cli import print_version

        print_version()
        raise typer.Exit


def command() -> TyperGroup:
    """Build the root command."""
    built = get_command(app)
    if not isinstance(built, TyperGroup):
        sys.exit("the root is a group")
    add_stubs(built, COMMANDS)
    return built
