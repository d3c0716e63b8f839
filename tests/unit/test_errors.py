"""Errors: the drawn tree is the real one, and every error can be shown."""

from __future__ import annotations

import re

from pravah import errors
from pravah.errors import PravahError


def _tree(kind: type[PravahError], depth: int = 0) -> list[tuple[int, str, int]]:
    below = [line for child in kind.__subclasses__() for line in _tree(child, depth + 1)]
    return [(depth, kind.__name__, kind.exit_code), *below]


def test_tree_atop_the_module_is_the_real_one() -> None:
    drawn = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)(\w+Error) +(\d+)", line)
        if found:
            drawn.append((len(found[1]) // 4, found[2], int(found[3])))
    assert drawn == _tree(PravahError)


def test_error_is_shown_with_its_kind_causes_and_hint() -> None:
    error = errors.LedgerBusyError("it is locked", causes=("database is locked",), hint="try again")
    assert str(error) == "it is locked"
    assert error.to_dict() == {
        "kind": "ledger_busy",
        "message": "it is locked",
        "causes": ["database is locked"],
        "hint": "try again",
    }


def test_errors_of_the_system_are_also_pythons_own() -> None:
    assert issubclass(errors.SourceMissingError, FileNotFoundError)
    assert issubclass(errors.ForbiddenError, PermissionError)
    assert issubclass(errors.NotFoundError, LookupError)
