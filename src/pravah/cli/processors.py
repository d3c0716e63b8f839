"""`pravah processors`: what steps can be made of. Reads the registry, never loads the core."""

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument

from pravah.cli.console import Console
from pravah.cli.render import Column, pairs, table
from pravah.registry import Descriptor, registry
from pravah.registry.schema import choices, resolve, type_names

COMMANDS = {
    "list": ("pravah.cli.processors:list_processors", "List every processor."),
    "show": ("pravah.cli.processors:show", "Show a processor's parameters and examples."),
}


def _names(incomplete: str) -> list[tuple[str, str]]:
    return [(d.name, d.summary) for d in registry() if d.name.startswith(incomplete)]


def list_processors(console: Console) -> None:
    """List every processor."""
    if console.json:
        for descriptor in registry():
            console.data(descriptor.to_dict())
        return
    columns = [Column("NAME"), Column("SHAPE"), Column("PAYLOAD"), Column("SUMMARY", shrink="end")]
    rows = [(d.name, d.shape, _payload(d), d.summary) for d in registry()]
    console.lines(table(columns, rows, console.columns))


def show(
    name: Annotated[str, Argument(help="The processor's name.", autocompletion=_names)],
    console: Console,
) -> None:
    """Show a processor's parameters and examples."""
    descriptor = registry().find(name)
    if console.json:
        console.data(descriptor.to_dict())
        return
    console.line(f"{descriptor.name}  {descriptor.summary}")
    console.line()
    console.lines(
        pairs(
            [
                ("shape", descriptor.shape),
                ("payload", _payload(descriptor)),
                ("version", str(descriptor.version)),
                ("pure", "yes" if descriptor.pure else "no"),
            ],
            indent="  ",
        )
    )
    if descriptor.properties:
        console.line("\nparameters")
        console.lines(pairs(_parameters(descriptor), indent="  "))
    if descriptor.examples:
        console.line("\nexamples")
        console.lines(
            pairs([(f"-s {e.step}", e.explains) for e in descriptor.examples], indent="  ")
        )


def _payload(descriptor: Descriptor) -> str:
    return f"{descriptor.input} → {descriptor.output}"


def _parameters(descriptor: Descriptor) -> list[tuple[str, str]]:
    return [
        (name, _described(name, resolve(schema, descriptor.parameters), descriptor))
        for name, schema in descriptor.properties.items()
    ]


def _described(name: str, schema: Mapping[str, Any], descriptor: Descriptor) -> str:
    """Write what a parameter is for, what it takes and its default, one idea a line."""
    lines = [schema.get("description") or ""]
    allowed = [c for c in choices(schema, descriptor.parameters) or () if c is not None]
    explained = [b for b in schema.get("oneOf", ()) if b.get("description")]
    if explained:
        lines += pairs([(str(b["const"]), b["description"]) for b in explained], indent="  ")
    elif allowed:
        lines.append(", ".join(map(str, allowed)))
    else:
        types = type_names(schema, descriptor.parameters)
        lines.append(" or ".join(kind for kind in types if kind != "null"))
    if schema.get("default") is not None:
        lines.append(f"default: {schema['default']}")
    if name == descriptor.primary:
        lines.append(f"may be written `{descriptor.name}:VALUE`")
    return "\n".join(filter(None, lines))
