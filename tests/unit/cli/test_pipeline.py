"""A job's steps as the one line that people know it by."""

from typing import Any

import pytest

from pravah.cli.pipeline import steps


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (["copy"], "copy"),
        (["decompress", {"compress": {"codec": "gzip"}}], "decompress → compress:gzip"),
        ([{"compress": {"codec": "gzip", "level": 9}}], "compress:codec=gzip,level=9"),
        ([{"select": {"columns": ["id", "city"]}}], "select:id,city"),
        ([{"select": {"rename": {"id": "key"}}}], 'select:rename={"id": "key"}'),
        ([{"gone": {"some": 1}}], "gone:some=1"),
    ],
)
def test_steps_are_written_as_they_are_typed(written: list[Any], line: str) -> None:
    assert steps({"steps": written}) == line
