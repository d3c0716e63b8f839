"""How far the tables of a job agree in their columns: union, intersection, and what differs.

Made of the records of `extract_headers`. Memory grows with the number of different schemas, up to
a bound, and never with the number of files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Tables of further schemas are only counted: so many are no drift any more.
MOST_SCHEMAS = 1_000
EXAMPLES = 3

# Names and types of columns, in order.
Columns = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Schema:
    """Tables that have the same columns, of the same types, in the same order."""

    columns: Columns
    tables: int = 0
    examples: list[str] = field(default_factory=list)

    def against(self, other: Schema) -> dict[str, Any]:
        """Tell what is other than in another schema."""
        mine, theirs = dict(self.columns), dict(other.columns)
        shared = [name for name in theirs if name in mine]
        order = [name for name in mine if name in theirs]
        return {
            "missing": [name for name in theirs if name not in mine],
            "added": [name for name in mine if name not in theirs],
            "changed": {n: [theirs[n], mine[n]] for n in shared if theirs[n] != mine[n]},
            "reordered": order != shared,
        }


@dataclass(slots=True)
class Drift:
    """The schemas of a job's tables, the commonest first."""

    tables: int = 0
    schemas: list[Schema] = field(default_factory=list)
    # Tables whose schemas came when `MOST_SCHEMAS` others were known.
    others: int = 0
    # Columns that every table has had so far; None before the first.
    _shared: set[str] | None = None

    @classmethod
    def of(cls, lines: Iterable[bytes]) -> Drift:
        """Read records as lines of JSON; those of other steps are passed over."""
        drift, known = cls(), dict[Columns, Schema]()
        for line in lines:
            record = json.loads(line)
            if isinstance(record.get("columns"), list):
                drift._take(record, known)
        # Equally common ones stay in the order of their first tables.
        drift.schemas = sorted(known.values(), key=lambda schema: -schema.tables)
        return drift

    def _take(self, record: Mapping[str, Any], known: dict[Columns, Schema]) -> None:
        columns = tuple((str(c["name"]), str(c["type"])) for c in record["columns"])
        self.tables += 1
        schema = known.get(columns)
        if schema is None:
            names = {name for name, _ in columns}
            self._shared = names if self._shared is None else self._shared & names
        if schema is None and len(known) == MOST_SCHEMAS:
            self.others += 1
            return
        if schema is None:
            schema = known[columns] = Schema(columns)
        schema.tables += 1
        if len(schema.examples) < EXAMPLES:
            schema.examples.append(record["path"])

    @property
    def union(self) -> list[str]:
        """Columns that any table has, those of the commonest schema first."""
        return list(dict.fromkeys(name for schema in self.schemas for name, _ in schema.columns))

    @property
    def intersection(self) -> list[str]:
        """Columns that every table has."""
        return [name for name in self.union if name in (self._shared or ())]

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return {
            "tables": self.tables,
            "union": self.union,
            "intersection": self.intersection,
            "schemas": [
                {
                    "tables": schema.tables,
                    "columns": [{"name": name, "type": kind} for name, kind in schema.columns],
                    "drift": schema.against(self.schemas[0]) if number else None,
                    "examples": schema.examples,
                }
                for number, schema in enumerate(self.schemas)
            ],
            "others": self.others,
        }
