"""The flags that say which files count, shared by `scan` and by all that describe a job."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from typer import Option


@dataclass(frozen=True)
class FilterFlags:
    """Which files count; each field is a flag, and a key of the spec's source."""

    include: Annotated[
        list[str] | None,
        Option(metavar="RULE", help="Only files that match (gitignore rules); repeatable."),
    ] = None
    exclude: Annotated[
        list[str] | None, Option(metavar="RULE", help="Leave these out; repeatable.")
    ] = None
    ignore_case: Annotated[
        bool, Option("--ignore-case", help="Letters of these rules have no case.")
    ] = False
    type: Annotated[
        list[str] | None,
        Option(metavar="TYPE", help="Only files of a type, as csv or image; repeatable."),
    ] = None
    min_size: Annotated[str | None, Option(metavar="SIZE", help="Only files so large.")] = None
    max_size: Annotated[str | None, Option(metavar="SIZE", help="Only files no larger.")] = None
    newer_than: Annotated[
        str | None,
        Option(metavar="AGE|TIME", help="Only files modified since, as in 2d or 2026-01-31."),
    ] = None
    older_than: Annotated[
        str | None, Option(metavar="AGE|TIME", help="Only files not modified since.")
    ] = None
    max_depth: Annotated[
        str | None, Option(metavar="N", help="Directories to go down; 1: none but the source.")
    ] = None
    follow_symlinks: Annotated[
        bool, Option("--follow-symlinks", help="List what links lead to, too.")
    ] = False

    def keys(self) -> dict[str, Any]:
        """Give the keys of the spec's source for the flags that were typed."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        found["type"] = [word for typed in self.type or () for word in typed.split(",")]
        return {key: value for key, value in found.items() if value not in (None, [], False)}


EVERYTHING = FilterFlags()
