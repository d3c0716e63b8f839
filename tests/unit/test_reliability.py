"""The page of reliability names a test for each rule and fault, and the tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
RULES = {*range(1, 13), *range(14, 26)}
FAULTS = {*range(1, 47), *range(50, 56)}


def _rows(title: str) -> set[int]:
    section = PAGE.partition(f"## {title}")[2].partition("\n## ")[0]
    return {int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}


def test_every_rule_and_fault_has_a_row() -> None:
    assert _rows("Rules of the protocol") == RULES
    assert _rows("Faults") == FAULTS


@pytest.mark.parametrize("named", sorted(set(re.findall(r"[\w/]+\.(?:py|rs)::\w+", PAGE))))
def test_named_test_exists(named: str) -> None:
    path, _, function = named.partition("::")
    below = ROOT / "tests" if path.endswith(".py") else ROOT / "pravah_core" / "core"
    keyword = "def" if path.endswith(".py") else "fn"
    assert re.search(rf"\b{keyword} {function}\(", (below / path).read_text("utf-8"))
