"""`--files-from`: names from stdin and from a file, as people type it."""

from pathlib import Path

from tests.e2e.cli.harness import Cli

RUN = ("data", "--to", "out", "-s", "copy", "--files-from")


def test_run_takes_names_from_stdin(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli("run", *RUN, "-", stdin="a.csv\0deep/c.csv\0a.csv\0")
    assert ran.code == 0, ran.err
    assert "names of stdin below data" in ran.err
    outputs = (cli.directory / "out").rglob("*")
    assert {p.name for p in outputs if p.is_file()} == {"a.csv", "c.csv"}


def test_names_without_a_source_lie_below_the_working_directory(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli("run", "--to", "out", "-s", "copy", "--files-from", "-", stdin="data/a.csv\n")
    assert ran.code == 0, ran.err
    assert (cli.directory / "out" / "data" / "a.csv").exists()


def test_plan_of_a_list_counts_its_names(cli: Cli, data: Path) -> None:
    assert data.exists()
    (cli.directory / "list").write_text("a.csv\ndeep\n")
    (plan,) = cli.ok("plan", *RUN, "list", "--json").objects()
    assert plan["entries"] == 3


def test_list_that_is_not_there_or_leads_out_is_told(cli: Cli, data: Path) -> None:
    assert data.exists()
    assert cli("run", *RUN, "nowhere").code == 3
    ran = cli("run", *RUN, "-", stdin="../a.csv\n")
    assert ran.code == 2
    assert "line 1 names `../a.csv`, which leads out of the source" in ran.err
    assert cli("run", "data/a.csv", *RUN[1:], "-", stdin="a.csv").code == 2
