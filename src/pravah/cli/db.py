"""`pravah db`: look after the ledger's database."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option

from pravah.cli.application import opened_here, settings_for
from pravah.cli.console import Console
from pravah.cli.figures import count, counted, size
from pravah.cli.render import pairs
from pravah.errors import SpecError
from pravah.model.units import read_duration

if TYPE_CHECKING:
    from pravah.bootstrap import LedgerFacts

COMMANDS = {
    "upgrade": ("pravah.cli.db:upgrade", "Create the ledger, or bring its schema up to date."),
    "status": ("pravah.cli.db:status", "Show the ledger's place, schema and size."),
    "prune": ("pravah.cli.db:prune", "Remove jobs that ended long ago."),
}


def upgrade(console: Console) -> None:
    """Create the ledger, or bring its schema up to date."""
    from pravah.bootstrap import upgrade_ledger

    _print(console, upgrade_ledger(settings_for(console)))


def status(console: Console) -> None:
    """Show the ledger's place, schema and size."""
    from pravah.bootstrap import ledger_facts

    _print(console, ledger_facts(settings_for(console)))


def prune(
    console: Console,
    *,
    older_than: Annotated[
        str, Option(metavar="DURATION", help="Remove jobs that ended so long ago.")
    ] = "30d",
) -> None:
    """Remove jobs that ended long ago."""
    try:
        older_than_s = read_duration(older_than)
    except ValueError as error:
        raise SpecError(f"--older-than {error}") from None
    with opened_here(console) as application:
        removed = application.jobs.prune(older_than_s)
    if console.json:
        console.data({"deleted": removed})
    else:
        console.say(f"removed {counted(len(removed), 'job')}")


def _print(console: Console, facts: "LedgerFacts") -> None:
    if console.json:
        console.data(asdict(facts))
        return
    state = "current" if facts.current else "behind: `pravah db upgrade` brings it up to date"
    rows = [
        ("database", facts.database),
        ("place", facts.location),
        ("schema", f"{facts.schema} ({state})"),
        ("jobs", count(facts.jobs)),
        ("size", size(facts.size_bytes)),
    ]
    console.lines(pairs(rows))
