"""The help of every command, as it is printed; a change of it shows in the diff.

`PRAVAH_WRITE_SNAPSHOTS=1 pytest tests/e2e/cli/test_help.py` writes the files anew.
"""

import os
from pathlib import Path

import pytest

from pravah.cli.commands import COMMANDS
from pravah.cli.config import COMMANDS as CONFIG
from pravah.cli.db import COMMANDS as DB
from pravah.cli.jobs import COMMANDS as JOBS
from pravah.cli.keys import COMMANDS as KEYS
from pravah.cli.processors import COMMANDS as PROCESSORS
from pravah.cli.workers import COMMANDS as WORKERS
from tests.e2e.cli.harness import Cli

GROUPS = {
    "jobs": JOBS,
    "processors": PROCESSORS,
    "db": DB,
    "config": CONFIG,
    "keys": KEYS,
    "workers": WORKERS,
}
PATHS = [
    (),
    *((name,) for name in COMMANDS),
    *((g, n) for g, table in GROUPS.items() for n in table),
]
SNAPSHOTS = Path(__file__).parent / "help"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: "-".join(path) or "root")
def test_help_is_as_recorded(cli: Cli, path: tuple[str, ...]) -> None:
    shown = cli.ok(*path, "--help")
    snapshot = SNAPSHOTS / f"{'-'.join(('pravah', *path))}.txt"
    if os.environ.get("PRAVAH_WRITE_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(shown.out, "utf-8")
    assert shown.out == snapshot.read_text("utf-8")
    assert shown.err == ""


@pytest.mark.parametrize("path", [p for p in PATHS if p], ids="-".join)
def test_summary_in_the_groups_help_is_the_commands_own(cli: Cli, path: tuple[str, ...]) -> None:
    table = GROUPS[path[0]] if len(path) == 2 else COMMANDS
    assert table[path[-1]][1] in cli.ok(*path, "--help").out


def test_root_help_is_the_same_with_and_without_the_parser(cli: Cli) -> None:
    assert cli.ok("--help").out == cli.ok("-h").out == cli.ok("--help", "--version").out


def test_launcher_of_the_documents_is_the_same_command(cli: Cli) -> None:
    import subprocess
    import sys

    launcher = Path(__file__).parents[3] / "app" / "cli.py"
    ran = subprocess.run(
        [sys.executable, launcher, "--help"], capture_output=True, text=True, env=cli.env()
    )
    assert ran.stdout == cli.ok("--help").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed_for_each_shell(cli: Cli, shell: str) -> None:
    ran = cli("--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert ran.code == 0, ran.err
    assert "_PRAVAH_COMPLETE" in ran.out


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("pravah ru", {"run"}),
        ("pravah jobs re", {"results", "report", "resume", "retry"}),
        ("pravah run -s com", {"compress"}),
        ("pravah processors show c", {"checksum", "compress", "convert", "copy", "count"}),
    ],
)
def test_completion_in_bash_completes_commands_and_processors(
    cli: Cli, typed: str, expected: set[str]
) -> None:
    words = typed.split()
    environment = {
        "_PRAVAH_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    ran = cli(env=environment)
    assert {line.split(",")[-1] for line in ran.out.split()} == expected
