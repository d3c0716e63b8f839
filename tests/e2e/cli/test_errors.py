"""Errors in the command line's own words: what failed, the causes, a hint that works."""

import re
from pathlib import Path

import pytest

from pravah.registry import registry

ALL = len(registry())


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            ["run", "data", "--to", "out", "-s", "compres"],
            2,
            "error: unknown processor `compres`\n"
            f"hint: did you mean `compress`? `pravah processors list` shows all {ALL}\n",
        ),
        (
            ["run", "data", "--to", "out", "-s", "compress:codec=zstd,level=99"],
            2,
            "error: compress: level is 99, zstd takes 1 to 22\n",
        ),
        (
            ["run", "data", "--to", "out", "-s", "compress:levle=3"],
            2,
            "error: compress: unknown parameter `levle`\n"
            "hint: did you mean `level`? `pravah processors show compress` shows what it takes\n",
        ),
        (
            ["run", "data", "--to", "data", "-s", "compress"],
            2,
            "error: source and sink are the same directory, `data/`\n",
        ),
        (
            ["run", "data/deep", "--to", "data", "-s", "compress"],
            2,
            "error: ",
        ),
        (
            ["run", "nothing", "--to", "out", "-s", "copy"],
            3,
            "error: ",
        ),
        (
            ["run", "s3://raw/", "--to", "out", "-s", "copy"],
            2,
            "error: can't reach `s3://raw/`: this release works on local files only\nhint: ",
        ),
        (
            ["run", "data", "--to", "-", "-s", "copy"],
            2,
            "error: writing outputs to stdout (`--to -`) is not part of this release\nhint: ",
        ),
        (["run"], 2, "error: the source and steps are missing\nhint: "),
        (["run", "data", "--to", "out"], 2, "error: steps are missing\nhint: name a step, as in `-s compress`\n"),
        (["run", "data", "-s", "compress"], 2, "error: "),
        (["run", "data", "-s", "copy", "--overwrite", "maybe"], 2, "error: invalid value for "),
        (["run", "data", "-s", "copy", "--tp", "out"], 2, "error: no such option: --tp\nhint: did you mean `--to`"),
        (["rnu"], 2, "error: no such command `rnu`\nhint: did you mean `run`? "),
        (["jobs", "shwo", "x"], 2, "error: no such command `shwo`\nhint: did you mean `show`? "),
        (["run", "-f", "none.yaml"], 3, "error: there is no spec `none.yaml`\n"),
        (["run", "data", "--to", "out", "-s", "copy", "--set", "sink.owerwrite=never"], 2, "error: sink: unknown key `owerwrite`\nhint: did you mean `overwrite`?\n"),
        (["run", "data", "--to", "out", "-s", "copy", "--memory", "lots"], 2, "error: limits.memory is `lots`, "),
        (["run", "data", "--to", "out", "-s", "copy", "--budget", "half"], 2, "error: on_error.budget is `half`, "),
        (["scan", "nothing"], 3, "error: there is no file or directory `nothing`\n"),
        (["scan", "data", "--format", "csv", "-0"], 2, "error: -0 goes with paths, not with --format csv\n"),
        (["processors", "show", "compres"], 2, "error: unknown processor `compres`\nhint: did you mean"),
    ],
)  # fmt: skip
def test_error_says_what_failed_and_what_to_do(cli, data: Path, arguments: list[str], code: int, text: str) -> None:  # noqa: ANN001
    assert data.exists()
    ran = cli(*arguments)
    assert ran.err.startswith(text), ran.err
    assert ran.code == code
    assert ran.out == ""


@pytest.mark.parametrize("command", [["show"], ["watch"], ["files"], ["failures"], ["results"], ["report"], ["cancel"], ["pause"], ["resume"], ["retry"], ["delete"]])
def test_jobs_command_on_an_unknown_job_names_the_ledger(cli, command: list[str]) -> None:  # noqa: ANN001
    ran = cli("jobs", *command, "job_01XXXX")
    assert ran.code == 3
    assert ran.err == (
        f"error: no job `job_01XXXX` in the ledger {cli.home}/pravah.db\n"
        "hint: `pravah jobs list` shows the latest; DATABASE_URL or --ledger chooses another ledger\n"
    )


def test_error_has_no_full_stop_no_traceback_and_no_escape_sequence(cli) -> None:  # noqa: ANN001
    ran = cli("run", "da\x1b[31mta", "--to", "out", "-s", "copy")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert "Traceback" not in ran.err
    assert not any(line.endswith(".") for line in ran.err.splitlines())


def test_debug_shows_the_traceback_before_the_error(cli) -> None:  # noqa: ANN001
    ran = cli("jobs", "show", "job_01XXXX", "--debug")
    assert ran.code == 3
    assert ran.err.startswith("Traceback")
    assert re.search(r"^error: no job", ran.err, re.MULTILINE)


def test_postgresql_ledger_answers_not_yet(cli) -> None:  # noqa: ANN001
    ran = cli("jobs", "list", env={"DATABASE_URL": "postgresql://user:word@pravah_db:5432/pravah_db"})
    assert ran.code == 2
    assert ran.err.startswith("error: can't use the ledger postgresql://user:********@pravah_db")
    assert "word" not in ran.err
