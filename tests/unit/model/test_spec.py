"""The job spec: forms, units, and errors that say what was meant."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pravah.errors import SpecError
from pravah.model import spec_file
from pravah.model.spec import JobSpec

LEAST: dict[str, Any] = {"source": "data/", "steps": ["copy"], "sink": "out/"}


def _parse(**keys: object) -> JobSpec:
    return JobSpec.parse({**LEAST, **keys})


def test_spec_of_short_forms_equals_that_of_long_ones() -> None:
    long = {
        "version": 1,
        "source": {"uri": ["data/"], "include": [], "exclude": []},
        "steps": [{"copy": {}}],
        "sink": {"uri": "out/", "overwrite": "changed", "durability": "batch"},
        "on_error": {"max_attempts": 3, "budget": 0},
        "limits": {"memory": "1GiB", "stall_timeout": "5min"},
    }
    assert JobSpec.parse(long) == JobSpec.parse(LEAST)


def test_wire_form_of_a_spec_gives_the_same_spec_again() -> None:
    spec = _parse(
        steps=["copy", {"compress": {"level": 3}}],
        limits={"memory": "64MiB", "stall_timeout": "30s"},
        on_error={"budget": "1%"},
        labels={"team": "a"},
    )
    assert JobSpec.parse(spec.to_dict()) == spec
    assert spec.to_dict()["limits"] == {"memory": "64MiB", "stall_timeout": "30s"}
    assert spec.to_dict()["steps"] == ["copy", {"compress": {"level": 3}}]


WRONG: list[tuple[dict[str, Any], str, str | None]] = [
    ({"sorce": "x"}, "unknown key `sorce`", "did you mean `source`?"),
    (
        {"sink": {"uri": "x", "overwite": "never"}},
        "sink: unknown key `overwite`",
        "did you mean `overwrite`?",
    ),
    (
        {"on_error": {"zzz": 1}},
        "on_error: unknown key `zzz`",
        "known are max_attempts, budget, when_exceeded",
    ),
    (
        {"limits": {"memory": "1XB"}},
        "limits.memory is `1XB`, a number with a unit such as `64MiB` is expected",
        "units are B, KiB, MiB, GiB, TiB, kB, MB, GB, TB",
    ),
    (
        {"on_error": {"budget": "-1"}},
        "on_error.budget is `-1`, a number of files or a share such as `1%` is expected",
        None,
    ),
    (
        {"steps": []},
        "steps is `[]`, a list of at least 1 is expected",
        None,
    ),
    (
        {"steps": [{"a": {}, "b": {}}]},
        "steps[0]: a step is `NAME` or one key: parameters, this has 2 keys",
        None,
    ),
    ({"version": 2}, "version is `2`, 1 is expected", None),
    ({"priority": "high"}, "priority is `high`, a whole number is expected", None),
    ({"priority": 5000}, "priority is `5000`, at most 1000 is expected", None),
    ({"in_place": "maybe"}, "in_place is `maybe`, true or false is expected", None),
    ({"labels": [1]}, "labels is `[1]`, a map of keys is expected", None),
    (
        {"name": "n" * 300},
        f"name is `{'n' * 60}…`, a text of at most 200 letters is expected",
        None,
    ),
    (
        {"sink": {"uri": "b", "verify": "twice"}},
        "sink.verify is `twice`, `size`, `checksum` or `content` is expected",
        None,
    ),
]


@pytest.mark.parametrize(("keys", "message", "hint"), WRONG)
def test_spec_that_is_wrong_says_where_and_what_was_meant(
    keys: dict[str, Any], message: str, hint: str | None
) -> None:
    with pytest.raises(SpecError) as caught:
        _parse(**keys)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_spec_without_steps_names_the_missing_key() -> None:
    with pytest.raises(SpecError, match="the key `steps` is missing"):
        JobSpec.parse({"source": "data/"})


@pytest.mark.parametrize("data", [None, [], "source", 1])
def test_spec_that_is_no_map_is_refused(data: object) -> None:
    with pytest.raises(SpecError, match="a job spec is a map"):
        JobSpec.parse(data)


def test_step_called_name_is_a_step() -> None:
    (step,) = _parse(steps=[{"name": {"x": 1}}]).steps
    assert (step.name, step.params) == ("name", {"x": 1})


def test_resolved_spec_has_absolute_uris_and_keeps_the_slash_of_its_sink() -> None:
    spec = JobSpec.parse({**LEAST, "source": ["a b", "/c"]}).resolved(b"/base")
    assert spec.source.uri == ["file:///base/a%20b", "file:///c"]
    assert spec.sink is not None
    assert spec.sink.uri == "file:///base/out/"
    assert spec.resolved(b"/elsewhere") == spec


def test_schema_of_a_spec_can_be_made_for_editors() -> None:
    schema = JobSpec.model_json_schema()
    assert schema["properties"]["steps"]["type"] == "array"
    assert schema["additionalProperties"] is False


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
        ),
    )
)
def test_spec_of_any_data_is_read_or_refused_with_a_spec_error(data: object) -> None:
    for key in ("source", "steps", "sink", "limits", "on_error", "labels"):
        with suppress(SpecError):
            assert isinstance(_parse(**{key: data}), JobSpec)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"limits": {"memory": "99999999TB"}}, "more than can be counted"),
        ({"limits": {"memory": float("inf")}}, "more than can be counted"),
        ({"limits": {"stall_timeout": "99999999999d"}}, "more than can be counted"),
        ({"source": {"uri": "x", "newer_than": "99999999999d"}}, "more than can be counted"),
        ({"source": {"uri": "x", "older_than": "9999-01-01"}}, "from 1678 to 2261"),
        ({"name": "a\0b"}, "holds a NUL"),
        ({"labels": {"a": "b\0"}}, "holds a NUL"),
    ],
)
def test_value_that_nothing_can_hold_is_refused(keys: dict[str, object], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        JobSpec.parse({"source": "x", "steps": "copy", **keys})


def test_spec_whose_key_is_a_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("? [a, b]\n: 1\n")
    with pytest.raises(SpecError, match="line 1, column 3: a key is a list"):
        spec_file.load(str(path))
