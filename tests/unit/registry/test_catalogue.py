"""Finding and checking steps without the core."""

from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.registry import Descriptor, Registry, registry


def described(
    name: str, takes: str, gives: str, parameters: dict[str, Any] | None = None
) -> Descriptor:
    schema = {"type": "object", "properties": parameters or {}, "additionalProperties": False}
    return Descriptor(
        name=name,
        version=1,
        summary=f"{name} it",
        shape="map",
        input=takes,
        output=gives,
        pure=True,
        primary=None,
        parameters=schema,
        examples=(),
    )


TABLES = Registry(
    [
        described("copy", "bytes", "bytes"),
        described(
            "convert",
            "bytes",
            "table",
            {"rows": {"type": "integer", "minimum": 1, "maximum": 1024}},
        ),
        described(
            "select", "table", "table", {"columns": {"type": "array", "items": {"type": "string"}}}
        ),
        described("unpack", "bytes", "tree"),
    ]
)


def test_find_of_a_misspelt_processor_guesses_what_was_meant() -> None:
    with pytest.raises(SpecError) as caught:
        registry().find("compres")
    assert caught.value.kind == "unknown_processor"
    assert caught.value.message == "unknown processor `compres`"
    assert caught.value.hint == (
        f"did you mean `compress`? `pravah processors list` shows all {len(registry())}"
    )


def test_find_of_a_foreign_word_guesses_nothing() -> None:
    with pytest.raises(SpecError) as caught:
        registry().find("zzzz")
    assert caught.value.hint == f"`pravah processors list` shows all {len(registry())}"


def test_check_of_an_unknown_parameter_guesses_what_was_meant() -> None:
    with pytest.raises(SpecError) as caught:
        registry().check([("compress", {"levle": 3})])
    assert caught.value.kind == "unknown_parameter"
    assert caught.value.message == "compress: unknown parameter `levle`"
    assert str(caught.value.hint).startswith(
        "did you mean `level`? `pravah processors show compress`"
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"codec": "gzp"}, "compress: codec is gzp, one of "),
        ({"level": "high"}, 'compress: level is "high", an integer is expected'),
        ({"level": 1.5}, "compress: level is 1.5, an integer is expected"),
        ({"level": True}, "compress: level is true, an integer is expected"),
        ({"codec": 3}, "compress: codec is 3, one of "),
    ],
)
def test_check_of_a_wrong_value_names_it_and_what_is_taken(
    parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        registry().check([("compress", parameters)])
    assert caught.value.kind == "invalid_parameter"
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([("convert", {"rows": 0})], "convert: rows is 0, 1 to 1,024 is expected"),
        (
            [("select", {"columns": ["a", 2]})],
            'select: columns is ["a", 2], in the list: a string is expected',
        ),
        ([("select", {"columns": "a"})], 'select: columns is "a", a list is expected'),
    ],
)
def test_check_of_ranges_and_lists_names_the_limits(
    steps: list[tuple[str, dict[str, Any]]], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        TABLES.check(steps)
    assert caught.value.message == message


def test_check_of_steps_whose_payloads_do_not_meet_says_what_can_follow() -> None:
    with pytest.raises(SpecError) as caught:
        TABLES.check([("convert", {}), ("unpack", {}), ("select", {})])
    assert caught.value.kind == "incompatible_steps"
    assert caught.value.message == "select can't follow unpack: it takes table, unpack gives tree"
    assert caught.value.hint == "no step can follow unpack"


def test_check_of_steps_that_meet_is_silent() -> None:
    steps = [("copy", {}), ("convert", {"rows": 7}), ("select", {"columns": ["a"]}), ("copy", {})]
    TABLES.check(steps)
    registry().check(
        [("decompress", {}), ("checksum", {}), ("compress", {"codec": "zstd", "level": 3})]
    )
