"""Standard streams that are closed, full, or of another encoding."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli


def shell(cli: Cli, redirection: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command by a shell that redirects its streams."""
    line = f'exec "$@" {redirection}'
    ran = subprocess.run(
        ["/bin/sh", "-c", line, "sh", *map(os.fsdecode, cli.command(*arguments))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=cli.directory,
        env=cli.env(environment),
        timeout=cli.patience_s,
        check=False,
    )
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&-", "<&-", ">&- 2>&- <&-"])
def test_job_is_done_whoever_hears_of_it(cli: Cli, data: Path, redirection: str) -> None:
    code, _, told = shell(cli, redirection, "run", "data", "--to", "out", "-s", "copy")
    assert (code, "Traceback" in told) == (0, False)
    (job,) = cli.ok("jobs", "list", "--json").objects()
    assert job["status"] == "completed"
    assert (cli.directory / "out" / "a.csv").read_bytes() == (data / "a.csv").read_bytes()


def test_stdout_that_takes_no_more_is_named(cli: Cli) -> None:
    code, _, told = shell(cli, ">/dev/full", "processors", "list")
    assert (code, told) == (4, "error: can't write to stdout: no space left on device\n")


def test_names_of_a_closed_stdin_are_refused(cli: Cli, data: Path) -> None:
    arguments = ("run", str(data), "--to", "out", "-s", "copy", "--files-from", "-")
    code, _, told = shell(cli, "<&-", *arguments)
    assert (code, told.splitlines()[-1]) == (
        2,
        "error: the names are to come from stdin, which is closed",
    )
    assert cli.ok("jobs", "list", "--json").objects() == []


def test_json_is_whole_where_stdout_takes_ascii_only(cli: Cli, data: Path) -> None:
    arguments = ("run", str(data), "--to", "out", "-s", "copy", "--name", "größe", "--json")
    code, out, told = shell(cli, "", *arguments, PYTHONIOENCODING="ascii")
    assert (code, out.isascii()) == (0, True), told
    assert json.loads(out)["name"] == "größe"
