"""`pravah demo`, with fewer files than it usually makes."""

from pathlib import Path

from tests.e2e.cli.harness import Cli


def test_demo_kills_resumes_compares_and_cleans_up(cli: Cli, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (cli.directory / ".env").write_text("DATABASE_URL=postgresql://nobody@nowhere/none\n")
    environment = {"TMPDIR": str(scratch), "PRAVAH_ENV_FILE": ".env", "PRAVAH_HOME": str(cli.home)}
    ran = cli("demo", "--files", "6000", env=environment)
    assert ran.code == 0, ran.err
    assert "SIGKILL" in ran.err
    assert "resuming job_" in ran.err
    assert "all equal" in ran.err
    assert "listed" in ran.out
    assert list(scratch.iterdir()) == []
    assert not cli.home.exists()
