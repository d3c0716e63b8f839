"""Commands made of plain functions."""

import inspect
from dataclasses import dataclass
from typing import Annotated

from typer import Option

from pravah.cli.command import expand
from pravah.cli.commands import COMMANDS


@dataclass(frozen=True)
class Group:
    """Two options."""

    first: Annotated[int, Option(help="One.")] = 1
    second: Annotated[str | None, Option(help="Two.")] = None


def test_expand_replaces_a_group_by_its_options_and_hands_it_over() -> None:
    def function(name: str, group: Group) -> tuple[str, Group]:
        return name, group

    command = expand(function)
    assert list(inspect.signature(command).parameters) == ["name", "first", "second"]
    assert command(name="n", first=3, second="x") == ("n", Group(3, "x"))


def test_every_summary_is_a_short_sentence() -> None:
    for name, (_, summary) in COMMANDS.items():
        assert summary.endswith("."), name
        assert len(summary) <= 60, name
