"""Flags, `--set` and a YAML file become one job spec."""

from pathlib import Path
from typing import Any

import pytest

from pravah.cli.filter_flags import FilterFlags
from pravah.cli.spec_flags import (
    Durability,
    OnCollision,
    Overwrite,
    SpecFlags,
    job_spec,
    spec_mapping,
)
from pravah.errors import NotFoundError, NotYetError, SpecError
from pravah.model.spec_file import assign, load
from pravah.registry import registry

COPY = {"sources": ["a"], "step": ["copy"]}
FLAGS = SpecFlags(sources=["data"], to=["out"], step=["compress:gzip"])


def test_flags_become_the_same_spec_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("source: data\nsteps: [{compress: {codec: gzip}}]\nsink: {uri: out}\n")
    assert job_spec(FLAGS) == job_spec(SpecFlags(file=str(file)))


def test_flags_beat_the_file_and_set_beats_the_flags(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("name: file\nsource: data\nsteps: [copy]\nsink: one\nlimits: {memory: 2GiB}\n")
    spec = job_spec(
        SpecFlags(
            file=str(file),
            to=["two"],
            name="flag",
            budget="3",
            set=["name=set", "priority=7", "labels.team=x"],
        )
    )
    assert spec.name == "set"
    assert spec.sink is not None
    assert spec.sink.uri == "two"
    assert spec.on_error.budget == 3
    assert spec.limits.memory == 2 << 30
    assert (spec.priority, spec.labels) == (7, {"team": "x"})


def test_aliases_of_the_documents_mean_the_same() -> None:
    assert job_spec(
        SpecFlags(source_path=["data"], to=["out"], step=["compress:gzip"])
    ) == job_spec(FLAGS)


def test_choices_and_filters_go_where_the_spec_has_them() -> None:
    flags = SpecFlags(
        sources=["a", "b"],
        to=["out"],
        step=["copy"],
        overwrite=Overwrite.NEWER,
        durability=Durability.ALWAYS,
        memory="64MiB",
    )
    filters = FilterFlags(
        include=["*.csv"], exclude=["_tmp/"], type=["csv,tsv"], min_size="1KiB", newer_than="2d"
    )
    spec = job_spec(flags, filters)
    assert spec.source.uri == ["a", "b"]
    assert (spec.source.include, spec.source.exclude) == (["*.csv"], ["_tmp/"])
    assert (spec.source.type, spec.source.min_size) == (["csv", "tsv"], 1024)
    assert spec.source.newer_than == "2d"
    assert spec.sink is not None
    assert (spec.sink.overwrite, spec.sink.durability) == ("newer", "always")
    assert spec.limits.memory == 64 << 20


def test_steps_of_a_file_may_be_typed_or_name_the_primary_parameter(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text("source: data\nsteps: ['compress:gzip', {checksum: sha256}, copy]\nsink: out\n")
    assert spec_mapping(SpecFlags(file=str(file)), registry())["steps"] == [
        {"compress": {"codec": "gzip"}},
        {"checksum": {"algorithm": "sha256"}},
        "copy",
    ]


def test_source_that_is_not_utf_8_becomes_a_uri() -> None:
    mapping = spec_mapping(SpecFlags(sources=["/d\udce4ta"], to=["/o/"], step=["copy"]), registry())
    assert mapping["source"]["uri"] == "file:///d%E4ta"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "the source and steps are missing"),
        ({"sources": ["a"]}, "steps are missing"),
        ({"step": ["copy"]}, "the source is missing"),
        (COPY | {"set": ["nonsense"]}, "can't read `--set nonsense`"),
        (COPY | {"set": ["steps.3=copy"]}, "can't set `steps.3=copy`: the list has places 0 to 0"),
        (COPY | {"set": ["sorce.uri=b"]}, "unknown key `sorce`"),
    ],
)
def test_wrong_flags_say_what_is_wrong(flags: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        job_spec(SpecFlags(**flags))  # type: ignore[arg-type]
    assert caught.value.message.startswith(message)


def test_sink_on_stdout_is_not_yet() -> None:
    with pytest.raises(NotYetError):
        job_spec(SpecFlags(sources=["a"], step=["copy"], to=["-"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "line 1, column"),
        ("- copy\n", "a job spec is a map of keys, this is a list"),
        ("", "a job spec is a map of keys, this is empty"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
    ],
)
def test_file_that_is_no_spec_says_why(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load(str(file))
    assert message in caught.value.message


def test_file_that_is_not_there_or_not_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="is not UTF-8"):
        load(str(tmp_path / "bytes"))


@pytest.mark.parametrize(
    ("before", "assignment", "after"),
    [
        ({}, "a.b.c=1", {"a": {"b": {"c": 1}}}),
        ({"sink": "out"}, "sink.overwrite=never", {"sink": {"uri": "out", "overwrite": "never"}}),
        ({"steps": ["copy"]}, "steps.0=compress", {"steps": ["compress"]}),
        ({"a": 1}, "a=[x, y]", {"a": ["x", "y"]}),
        ({}, "a=", {"a": ""}),
        ({}, "a=x=y", {"a": "x=y"}),
    ],
)
def test_assign_sets_one_key(
    before: dict[str, Any], assignment: str, after: dict[str, Any]
) -> None:
    assign(before, assignment)
    assert before == after


def test_flags_about_names_become_keys_of_source_and_sink() -> None:
    flags = SpecFlags(
        sources=["data"],
        to=["out"],
        step=["copy"],
        path="{date}/{host}.csv",
        capture="{host}/{date}.csv",
        on_collision=OnCollision.KEEP_EXT,
    )
    spec = job_spec(flags)
    assert spec.source.capture == "{host}/{date}.csv"
    assert spec.sink is not None
    assert (spec.sink.path, spec.sink.on_collision) == ("{date}/{host}.csv", "keep_ext")
