"""The checks of `doctor`: what is not well comes with a hint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pravah import bootstrap
from pravah.bootstrap import LedgerFacts
from pravah.cli import checkup, quota
from pravah.cli.checkup import check_disk, check_ledger, check_limits
from pravah.settings import Settings

SETTINGS = Settings({"PRAVAH_ENV_FILE": ""})


def facts(*, current: bool) -> Callable[[Settings], LedgerFacts]:
    location = str(Path.home() / "x" / "pravah.db")
    return lambda _: LedgerFacts("SQLite 3.53.4", location, 2, current, 3, 4096)


def test_ledger_below_the_users_directory_is_written_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bootstrap, "ledger_facts", facts(current=True))
    check = check_ledger(SETTINGS)
    assert check.text == "SQLite 3.53.4, ~/x/pravah.db, schema 2 (current), 3 jobs, 4.0 KiB"
    assert (check.verdict, check.hint) == ("ok", None)


def test_ledger_that_is_behind_has_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ledger_facts", facts(current=False))
    check = check_ledger(SETTINGS)
    assert (check.verdict, "db upgrade" in str(check.hint)) == ("warning", True)


def test_disk_that_can_not_be_looked_at_fails_with_a_hint(tmp_path: Path) -> None:
    check = check_disk(tmp_path / "missing")
    assert (check.verdict, check.exit_code, bool(check.hint)) == ("failed", 4, True)


def test_remote_disk_has_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_file_system", lambda _: "nfs4")
    monkeypatch.setattr(checkup, "LITTLE_SPACE_BYTES", 0)
    check = check_disk(tmp_path)
    assert "fsync of each file" in check.text
    assert (check.verdict, "local disk" in str(check.hint)) == ("warning", True)


def test_limits_are_those_of_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "cpus", lambda: 1.5)
    monkeypatch.setattr(quota, "memory_bytes", lambda: 1 << 30)
    check = check_limits()
    assert check.text.endswith("memory 1.0 GiB; 1.5 CPUs")
    assert (check.verdict, "limits.memory" in str(check.hint)) == ("warning", True)
