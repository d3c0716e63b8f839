"""Errors in the command line's own words: what failed, the causes, a hint that works."""

import re
from pathlib import Path

import pytest

from pravah.registry import registry
from tests.e2e.cli.harness import Cli

ALL = len(registry())


# A command, its exit code, how the error begins, and how the hint does.
CASES = [
    (
        "run data --to out -s compres",
        2,
        "unknown processor `compres`",
        f"did you mean `compress`? `pravah processors list` shows all {ALL}",
    ),
    (
        "run data --to out -s compress:codec=zstd,level=99",
        2,
        "compress: level is 99, zstd takes 1 to 22",
        "`pravah processors show compress` shows the parameters",
    ),
    (
        "run data --to out -s compress:levle=3",
        2,
        "compress: unknown parameter `levle`",
        "did you mean `level`? `pravah processors show compress` shows what it takes",
    ),
    ("run data --to data -s compress", 2, "source and sink are the same directory, `", ""),
    (
        "run data/deep --to data -s compress",
        2,
        "",
        "name a `--to` that does not contain the source",
    ),
    ("run data/a.csv --to data/a.csv -s copy --overwrite always", 2, "source and sink are", ""),
    (
        "run data --to out -s copy --include [",
        2,
        "include: error parsing glob",
        "patterns are those",
    ),
    ("scan data --exclude #x", 2, "exclude: `#x` is a comment", "patterns are those"),
    ("run -f twice.yaml", 2, "twice.yaml, line 2, column 1: `source` is given twice", None),
    ("run nothing --to out -s copy", 3, "", ""),
    ("run s3+lab://raw/ --to out -s copy", 2, "there is no connection `lab`", "set PRAVAH_S3_LAB_"),
    ("run data --to - -s copy", 2, "writing outputs to stdout (`--to -`) is not part of", ""),
    ("run", 2, "the source and steps are missing", ""),
    ("run data --to out", 2, "steps are missing", "name a step, as in `-s compress`"),
    ("run data -s compress", 2, "", ""),
    ("run data -s copy --overwrite maybe", 2, "invalid value for ", ""),
    ("run data -s copy --exlude a", 2, "no such option: --exlude", "did you mean `--exclude`"),
    (
        "run data -s verify:SHA256SUMS,unlisted=pass",
        2,
        "can't read the step `verify:SHA256SUMS,unlisted=pass`",
        "did you mean `verify:manifest=SHA256SUMS,unlisted=pass`?",
    ),
    ("run data --to out -s copy --path=", 2, "sink.path is empty", "fields are {path} {dir}"),
    ("run data --to out -s copy --capture=", 2, "source.capture is ``: it names nothing", "fields"),
    (
        "run data -s copy --in-place --path {name}",
        2,
        "`--in-place` replaces the sources, and `--path` is for a sink",
        "leave out `--path`, or ",
    ),
    ("run data -s copy --path {name}", 2, "the sink is missing, ", "name a directory after `--to`"),
    ("rnu", 2, "no such command `rnu`", "did you mean `run`? "),
    ("jobs shwo x", 2, "no such command `shwo`", "did you mean `show`? "),
    ("run -f none.yaml", 3, "there is no spec `none.yaml`", None),
    (
        "run data --to out -s copy --set sink.owerwrite=never",
        2,
        "sink: unknown key `owerwrite`",
        "did you mean `overwrite`?",
    ),
    ("run data --to out -s copy --memory lots", 2, "limits.memory is `lots`, ", "units are B, "),
    ("run data --to out -s copy --budget half", 2, "on_error.budget is `half`, ", None),
    ("scan data --min-size 2K", 2, "min_size is `2K`, ", "units are B, KiB, MiB, "),
    ("scan nothing", 3, "there is no file or directory `nothing`", None),
    ("scan data --format csv -0", 2, "-0 goes with paths, not with --format csv", None),
    ("processors show compres", 2, "unknown processor `compres`", "did you mean `compress`?"),
]
TWICE = "source: data\nsource: other\nsteps: copy\nsink: out\n"
JOBS = ("show", "watch", "files", "failures", "results", "report")
STEERING = ("cancel", "pause", "resume", "retry", "delete")


@pytest.mark.parametrize(("command", "code", "message", "hint"), CASES, ids=[c[0] for c in CASES])
def test_error_says_what_failed_and_what_to_do(
    cli: Cli, data: Path, command: str, code: int, message: str, hint: str | None
) -> None:
    assert data.exists()
    (cli.directory / "twice.yaml").write_text(TWICE)
    ran = cli(*command.split())
    error, *rest = ran.err.splitlines()
    assert error.startswith(f"error: {message}"), ran.err
    if hint is None:
        assert rest == []
    else:
        assert rest[-1].startswith(f"hint: {hint}"), ran.err
    assert ran.code == code
    assert ran.out == ""


@pytest.mark.parametrize("command", JOBS + STEERING)
def test_jobs_command_on_an_unknown_job_names_the_ledger(cli: Cli, command: str) -> None:
    ran = cli("jobs", command, "job_01XXXX")
    assert ran.code == 3
    error, hint = ran.err.splitlines()
    assert error == f"error: no job `job_01XXXX` in the ledger {cli.home}/pravah.db"
    assert hint.startswith("hint: `pravah jobs list` shows the latest; ")
    assert hint.endswith("--ledger chooses another ledger")


@pytest.mark.parametrize("command", ["jobs list", "jobs show x", "jobs cancel x", "why x"])
def test_ledger_that_was_named_and_is_not_there_is_not_made(cli: Cli, command: str) -> None:
    by_flag = cli(*command.split(), "--ledger", "nodir/x.db")
    url = {"DATABASE_URL": f"sqlite:///{cli.directory}/nodir/x.db"}
    for ran in (by_flag, cli(*command.split(), env=url)):
        assert ran.code == 7
        error, hint = ran.err.splitlines()
        assert error == f"error: there is no ledger {cli.directory}/nodir/x.db"
        assert hint.startswith("hint: check --ledger and DATABASE_URL; ")
    assert not (cli.directory / "nodir").exists()
    assert cli("jobs", "list").code == 0


def test_error_has_no_full_stop_no_traceback_and_no_escape_sequence(cli: Cli) -> None:
    ran = cli("run", "da\x1b[31mta", "--to", "out", "-s", "copy")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert "Traceback" not in ran.err
    assert not any(line.endswith(".") for line in ran.err.splitlines())


def test_debug_shows_the_traceback_before_the_error(cli: Cli) -> None:
    ran = cli("jobs", "show", "job_01XXXX", "--debug")
    assert ran.code == 3
    assert ran.err.startswith("Traceback")
    assert re.search(r"^error: no job", ran.err, re.MULTILINE)


def test_postgresql_ledger_that_is_not_there_is_a_clear_error(cli: Cli) -> None:
    url = "postgresql://user:word@127.0.0.1:1/pravah_db"
    ran = cli("jobs", "list", env={"DATABASE_URL": url})
    assert ran.code == 7
    assert ran.err.startswith("error: the ledger postgresql://user:********@127.0.0.1:1/pravah_db")
    assert "hint: " in ran.err
    assert "word@" not in ran.err
