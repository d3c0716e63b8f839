"""The log: one line a fact, whatever names and messages hold, and never a password."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from pravah.jobs import log

EVIL = "a\nERROR forged  job=x\r\x1b[2J\x1b]0;title\x07\u202e\udcff"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Give where the log goes, and put everything back behind the test."""
    logger = logging.getLogger("pravah")
    before = logger.handlers, logger.propagate, logger.level
    yield io.StringIO()
    logger.handlers, logger.propagate, logger.level = before
    log.work_as(None)


def test_text_is_one_line_with_fields(stream: io.StringIO) -> None:
    log.configure("INFO", "text", stream)
    log.work_as("01W")
    log.info("task claimed", job="01J", task=7, kind=None, error="no room")
    at, rest = stream.getvalue().split(" ", 1)
    assert at.endswith("Z")
    assert rest == 'INFO    task claimed  job=job_01J task=7 error="no room" worker=01W\n'


def test_json_is_one_object_a_line_with_numbers_as_numbers(stream: io.StringIO) -> None:
    log.configure("INFO", "json", stream)
    log.warning("task ended", job="job_01J", task=7, duration_s=0.5)
    told = json.loads(stream.getvalue())
    assert told.pop("at").endswith("Z")
    assert told == {
        "level": "WARNING",
        "message": "task ended",
        "job": "job_01J",
        "task": 7,
        "duration_s": 0.5,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_name_that_could_break_a_line_is_escaped(stream: io.StringIO, form: str) -> None:
    log.configure("INFO", form, stream)
    log.error(f"can't read {EVIL}", error=EVIL)
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    line.encode("ascii" if form == "json" else "utf-8")


@pytest.mark.parametrize("form", ["text", "json"])
def test_password_of_a_url_is_never_told(stream: io.StringIO, form: str) -> None:
    log.configure("DEBUG", form, stream)
    url = "postgresql://user:s3cr3t@host:5432/name"
    log.info(f"waiting for {url}", ledger=url, error=Exception(f"refused: {url}"))
    logging.getLogger("pravah.db.postgres").warning("%s is away", url)
    assert "s3cr3t" not in stream.getvalue()
    assert stream.getvalue().count("user:********@host") == 4


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    log.configure("WARNING", "text", stream)
    log.info("task claimed")
    log.relay("DEBUG", "the engine has started", {})
    log.relay("ERROR", "the core panicked", {"task": 3})
    assert stream.getvalue().endswith("ERROR   the core panicked  task=3\n")
    assert stream.getvalue().count("\n") == 1


def test_what_is_drawn_is_cleared_before_each_line(stream: io.StringIO) -> None:
    log.configure("INFO", "text", stream)
    log.make_room(lambda: stream.write("<cleared>"))  # type: ignore[arg-type,return-value]
    log.info("one")
    assert stream.getvalue().startswith("<cleared>")


def test_embedding_program_without_a_log_of_its_own_sees_no_info(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.info("task claimed", task=1)
    assert capsys.readouterr().err == ""
