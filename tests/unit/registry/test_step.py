"""The syntax of a typed step."""

from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.registry import registry


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("copy", ("copy", {})),
        (" copy ", ("copy", {})),
        ("compress:gzip", ("compress", {"codec": "gzip"})),
        ("compress:codec=zstd,level=9", ("compress", {"codec": "zstd", "level": 9})),
        ("compress: codec = zstd , level = 9", ("compress", {"codec": "zstd", "level": 9})),
        ("compress:level=-3", ("compress", {"level": -3})),
        ("compress:{codec: gzip, level: 1}", ("compress", {"codec": "gzip", "level": 1})),
        ("{compress: {level: 19}}", ("compress", {"level": 19})),
        ("{copy: }", ("copy", {})),
        ("checksum:sha256", ("checksum", {"algorithm": "sha256"})),
        ("select:id", ("select", {"columns": ["id"]})),
        ("select: id, name ", ("select", {"columns": ["id", "name"]})),
        ("select:columns=id", ("select", {"columns": ["id"]})),
        ("select:columns=[id, name]", ("select", {"columns": ["id", "name"]})),
        (
            "filter_rows:a = 1 and b in ('x', 'y')",
            ("filter_rows", {"where": "a = 1 and b in ('x', 'y')"}),
        ),
        ("filter_rows:where=a > 1", ("filter_rows", {"where": "a > 1"})),
        ("merge:group_by={dir},target_size=5", ("merge", {"group_by": "{dir}", "target_size": 5})),
        ("merge:target_size=5MiB,header=true", ("merge", {"target_size": "5MiB", "header": True})),
    ],
)
def test_read_step_of_each_form_gives_name_and_parameters(
    text: str, expected: tuple[str, dict[str, Any]]
) -> None:
    assert registry().read_step(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "can't read the step ``: a step begins with the name of a processor"),
        (":gzip", "can't read the step `:gzip`: a step begins with the name of a processor"),
        (
            "compress:level=1,fast",
            "can't read the step `compress:level=1,fast`: `fast` is no `parameter=value`",
        ),
        ("compress:{level: 1", "can't read the step `compress:{level: 1`: it is no YAML: "),
        ("compress:[1,2", "can't read the step `compress:[1,2`: `]` is missing"),
        (
            "{copy: {}, compress: {}}",
            "can't read the step `{copy: {}, compress: {}}`: a step is one processor",
        ),
        (
            "{compress: 3}",
            "can't read the step `{compress: 3}`: the parameters of `compress` are no map",
        ),
        ("copy:fast", "copy: `fast` is no `parameter=value`, and copy has no primary parameter"),
    ],
)
def test_read_step_of_what_is_no_step_says_why(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        registry().read_step(text)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_read_step_keeps_words_that_yaml_would_turn_into_booleans() -> None:
    with pytest.raises(SpecError, match="codec is no, one of"):
        registry().check([registry().read_step("compress:codec=no")])


def test_examples_of_every_descriptor_read_as_they_say() -> None:
    for descriptor in registry():
        for example in descriptor.examples:
            name, parameters = registry().read_step(example.step)
            assert (name, parameters) == (descriptor.name, example.params)
            registry().check([(name, parameters)])
