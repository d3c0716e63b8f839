"""Says in the product's words what Pydantic found wrong with a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pravah.errors import SpecError

# A value that is longer is cut where it is shown.
_SHOWN_LETTERS = 60

# Pydantic's types of errors (https://docs.pydantic.dev/latest/errors/validation_errors/).
_EXPECTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "literal_error": lambda about: str(about["expected"]).replace("'", "`"),
    "int_parsing": lambda _: "a whole number",
    "int_from_float": lambda _: "a whole number",
    "int_type": lambda _: "a whole number",
    "greater_than_equal": lambda about: f"at least {about['ge']}",
    "less_than_equal": lambda about: f"at most {about['le']}",
    "string_type": lambda _: "a text",
    "string_too_long": lambda about: f"a text of at most {about['max_length']} letters",
    "list_type": lambda _: "a list",
    "too_short": lambda about: f"a list of at least {about['min_length']}",
    "bool_parsing": lambda _: "true or false",
    "bool_type": lambda _: "true or false",
    "dict_type": lambda _: "a map of keys",
    "model_type": lambda _: "a map of keys",
}


def spec_error(error: ValidationError) -> SpecError:
    """Make one error of all: the first in its message, the others as its causes."""
    problems = error.errors(include_url=False)
    lines = [_line(problem) for problem in problems]
    hint = next(filter(None, map(_hint, problems)), None)
    return SpecError(lines[0], hint=hint, causes=tuple(lines[1:]))


def _hint(problem: ErrorDetails) -> str | None:
    about = problem.get("ctx", {})
    hint: str | None = about.get("hint") or getattr(about.get("error"), "hint", None)
    return hint


def _line(problem: ErrorDetails) -> str:
    path = _path(problem)
    if problem["type"] == "missing":
        return f"the key `{path}` is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] in ("unknown_key", "step"):
        return f"{path}: {message}" if path else message
    if problem["type"] == "value_error":
        return f"{path} {message}"
    value = str(problem["input"])
    if len(value) > _SHOWN_LETTERS:
        value = f"{value[:_SHOWN_LETTERS]}…"
    if (expected := _EXPECTED.get(problem["type"])) is not None:
        return f"{path} is `{value}`, {expected(problem.get('ctx', {}))} is expected"
    return f"{path} is `{value}`: {message[:1].lower()}{message[1:]}"


def _path(problem: ErrorDetails) -> str:
    """Write where it is, as in `steps[0].compress`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    return "".join(parts).removeprefix(".")
