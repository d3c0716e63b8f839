"""Makes commands of functions: groups load them when they are called, not before.

A command is a plain function of annotated parameters, its docstring the help. A parameter
whose type is a dataclass stands for a group of options (`Console`, `SpecFlags`): the fields
become options of the command. Loading on call keeps `pravah --help` as fast as it is,
whatever the commands import.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

CONTEXT = {"help_option_names": ["-h", "--help"]}
Table = Mapping[str, tuple[str, str]]


class ReaderGoneError(Exception):
    """Nobody reads stdout any more, as after `| head`: no reason to say anything."""


class Stub(TyperCommand):
    """A command that is not loaded yet: its name, its summary and where it is."""

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self.target = target

    def load(self) -> Any:  # noqa: ANN401 - Typer's commands have no public type
        """Import what the stub stands for: a function, or the table of a group."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, Mapping):
            return _group(found, str(self.name), str(self.help))
        app = typer.Typer(
            rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
        )
        app.command(self.name, context_settings=CONTEXT)(expand(found))
        return get_command(app)


class LazyGroup(TyperGroup):
    """A group of stubs; the one that is called is loaded."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - as above
        """Find the command that the arguments name, and load it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Stub) else command, rest


def add_stubs(group: TyperGroup, table: Table) -> None:
    """Give a group the commands of a table: name, where it is, summary."""
    for name, (target, summary) in table.items():
        group.add_command(Stub(name, target, summary))


def expand(function: Callable[..., object]) -> Callable[..., object]:
    """Replace each parameter that is a group of options by the options themselves."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in groups:
            options += _options(groups[parameter.name])
        else:
            annotation = hints[parameter.name]
            options.append(parameter.replace(annotation=annotation, kind=parameter.KEYWORD_ONLY))

    @functools.wraps(function)
    def command(**given: object) -> object:
        for name, group in groups.items():
            own = {field.name: given.pop(field.name) for field in fields(group)}
            given[name] = group(**own)
        try:
            return function(**given)
        except BrokenPipeError as error:  # Typer would make a failure of it
            raise ReaderGoneError from error

    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    del command.__wrapped__
    return command


def _group(table: Table, name: str, summary: str) -> TyperGroup:
    app = typer.Typer(
        name=name,
        help=summary,
        cls=LazyGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings=CONTEXT,
    )
    app.callback()(lambda: None)
    group = get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101 - narrows Typer's type: an app with a callback is a group
    add_stubs(group, table)
    return group


def _options(group: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - any dataclass
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
