"""Bodies become job specs: strict JSON of limited depth, then the same checks as everywhere.

Python's reader takes more than JSON: NaN, numbers beyond measure, keys that stand twice, nesting
until the stack ends. All of that is refused before anything is made of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from pravah.api.problems import Problem
from pravah.errors import SpecError
from pravah.model.spec import JobSpec
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.api.callers import Caller

# Stands for the directory of an upload before it has one.
UPLOADED = "file:///uploaded"
# A spec needs eight levels with the parameters of its steps.
DEEPEST = 32
# What opens and closes, outside of texts.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_LONGEST_NUMBER = 400


def read_json(body: bytes, content_type: str | None) -> Any:  # noqa: ANN401 - JSON's values
    """Read a body; Problem where it is no JSON, or more than that."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(
            415,
            "unsupported_media_type",
            f"the body is `{kind or 'of no type'}`, `application/json` is expected",
            hint="send `Content-Type: application/json`",
        )
    _refuse_depth(body)
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_number,
            object_pairs_hook=_without_doubles,
        )
    except (ValueError, RecursionError) as error:
        raise Problem(400, "invalid_json", f"the body is no JSON: {_why(error)}") from None


def read_spec(form: object, caller: Caller, *, uploaded: bool = False) -> JobSpec:
    """Read a job spec as the command line takes it; its team is that of the key.

    The source of a spec that came with its files is a place that does not exist yet.
    """
    if not isinstance(form, Mapping):
        return JobSpec.parse(form)
    _refuse_unwritable(form)
    given = {**form, "source": _uploaded(form)} if uploaded else dict(form)
    if isinstance(given.get("steps"), str):
        given["steps"] = [given["steps"]]
    if isinstance(given.get("steps"), list):
        given["steps"] = [registry().spec_form(step) for step in given["steps"]]
    spec = JobSpec.parse(given)
    _check_limits(spec, caller)
    return _of_team(spec, caller)


def read_change(form: object, caller: Caller) -> Mapping[str, Any]:
    """Read what is to change of a job, as `pravah jobs set` takes it."""
    if not isinstance(form, Mapping) or not form:
        raise SpecError(
            "a change is a map of keys", hint='as in `{"limits": {"tasks": 2}, "priority": 5}`'
        )
    _refuse_unwritable(form)
    priority, most = form.get("priority"), caller.limits.priority
    if most is not None and isinstance(priority, int) and priority > most:
        raise _limit_exceeded("priority", priority, most)
    return form


def _uploaded(form: Mapping[str, Any]) -> dict[str, Any]:
    """Give the source of a spec whose files came with it: filters may be said, places not."""
    source = form.get("source", {})
    named = {"uri", "files_from"} & source.keys() if isinstance(source, Mapping) else {"uri"}
    if named or form.get("in_place"):
        what = f"`source.{min(named)}`" if named else "`in_place`"
        raise SpecError(
            f"{what} means nothing where the files come with the request",
            hint="leave it out: the files that were sent are the source",
        )
    return {**source, "uri": [UPLOADED]}


def _of_team(spec: JobSpec, caller: Caller) -> JobSpec:
    if caller.team is None:
        return spec
    said = spec.labels.get("team")
    if said is not None and said != caller.team:
        raise Problem(
            403,
            "team_not_allowed",
            f"labels.team is `{said}`, the key is of team `{caller.team}`",
            hint="leave it out: a job has the team of its key",
        )
    labels = {**spec.labels, "team": caller.team} if caller.team else spec.labels
    return spec.model_copy(update={"labels": labels})


def _check_limits(spec: JobSpec, caller: Caller) -> None:
    limits = caller.limits
    for what, asked, most in (
        ("priority", spec.priority, limits.priority),
        ("limits.memory", spec.limits.memory, limits.memory_bytes),
    ):
        if most is not None and asked > most:
            raise _limit_exceeded(what, asked, most)


def _limit_exceeded(what: str, asked: int, most: int) -> Problem:
    return Problem(
        403,
        "limit_exceeded",
        f"{what} is {asked:,}, the key allows {most:,}",
        hint="ask for less; `pravah keys create` makes keys with other limits",
    )


def _refuse_depth(body: bytes) -> None:
    depth = 0
    for found in _BRACKETS.finditer(body):
        sign = found[0]
        depth += (sign in b"[{") - (sign in b"]}") if len(sign) == 1 else 0
        if depth > DEEPEST:
            raise Problem(400, "json_too_deep", f"the body is nested deeper than {DEEPEST} levels")


def _refuse_unwritable(value: object) -> None:
    """Refuse texts that no database and no file system takes: NULs, and halves of letters."""
    if isinstance(value, str):
        if "\0" in value or (not value.isascii() and _has_surrogate(value)):
            raise Problem(422, "invalid_text", "a text holds a NUL or half of a surrogate pair")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unwritable(key)
            _refuse_unwritable(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unwritable(inner)


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{twice[:60]}` is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is no number")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number has too many digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text) if len(text) <= _LONGEST_NUMBER else float("inf")
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"`{text[:60]}` is beyond all measure")
    return number


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.lower()} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start:,} is not UTF-8"
    return str(error)
