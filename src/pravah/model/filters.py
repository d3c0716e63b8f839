"""Which files count: the keys of a spec's source, and the flags of `pravah scan`, for the core.

Relative times are kept as they were typed, so that the same command is the same spec whenever it
is typed; when a job is created they become points in time, and stay those for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pravah.errors import SpecError
from pravah.model.units import read_moment, read_size


@dataclass(frozen=True, slots=True)
class Filters:
    """What is listed of a source. The default is everything."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ignore_case: bool = False
    type: Sequence[str] = ()
    min_size: int | None = None
    max_size: int | None = None
    newer_than: str | None = None
    older_than: str | None = None
    max_depth: int | None = None
    follow_symlinks: bool = False

    @classmethod
    def read(cls, typed: Mapping[str, Any]) -> Filters:
        """Read values as people type them; SpecError names the key of a wrong one."""
        values = dict(typed)
        _refuse_unknown(values)
        for key, read in _READERS.items():
            if values.get(key) is not None:
                try:
                    values[key] = read(values[key])
                except ValueError as error:
                    hint = getattr(error, "hint", None)
                    raise SpecError(f"{key} {error}", hint=hint) from None
        return cls(**values)

    def rules(self, now_ns: int) -> dict[str, Any]:
        """Give the core's rules, those that say anything; `now_ns` is what ages count from.

        Whether links are followed is no rule: the core is told apart from these.
        """
        rules: dict[str, Any] = {
            "include": list(self.include),
            "exclude": list(self.exclude),
            "ignore_case": self.ignore_case,
            "types": list(self.type),
            "min_size_bytes": self.min_size,
            "max_size_bytes": self.max_size,
            "newer_than_ns": self.newer_than and read_moment(self.newer_than, now_ns),
            "older_than_ns": self.older_than and read_moment(self.older_than, now_ns),
            "max_depth": self.max_depth,
        }
        # By identity: a size of 0 and a time of 1970 say something, and are equal to False.
        return {k: v for k, v in rules.items() if v is not None and v is not False and v != []}


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(Filters)]
    for key in values:
        if key not in known:
            from difflib import get_close_matches

            meant = get_close_matches(key, known, n=1)
            hint = f"did you mean `{meant[0]}`?" if meant else f"known are {', '.join(known)}"
            raise SpecError(f"unknown key `{key}`", hint=hint)


def check_moment(value: object) -> str:
    """Check an age or a time, and give it as text; YAML reads unquoted times as such."""
    text = value if isinstance(value, str) else getattr(value, "isoformat", lambda: str(value))()
    read_moment(text, 0)
    return str(text)


def read_depth(value: object) -> int:
    """Read a number of directories; the files of a root lie one deep."""
    text = str(value)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"is `{value}`, a number from 1 on is expected")
    return int(text)


def _read_rules(value: object) -> Sequence[str]:
    """Read a list of rules; the letters of one rule would be rules, too."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ValueError(f"is `{value}`, a list such as `['*.csv']` is expected")  # noqa: TRY004 - as all readers
    return value


def _read_types(value: object) -> Sequence[str]:
    return [value] if isinstance(value, str) else _read_rules(value)


_READERS = {
    "include": _read_rules,
    "exclude": _read_rules,
    "type": _read_types,
    "min_size": read_size,
    "max_size": read_size,
    "newer_than": check_moment,
    "older_than": check_moment,
    "max_depth": read_depth,
}
