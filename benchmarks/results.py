"""What rows have measured, kept beside the data: the page is made of each row's last results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contest import Contest, Figure, Target
from benchmarks.lab import Lab


def keep(lab: Lab, row: str, contests: Sequence[Contest]) -> None:
    """Keep what a row has measured, in place of what it had measured before at this scale."""
    path = _path(lab, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(contest) for contest in contests], indent=1), "utf-8")


def kept(lab: Lab, rows: Iterable[str]) -> list[Contest]:
    """Give the last contests of these rows at this scale; rows that never ran are left out."""
    paths = [path for row in rows if (path := _path(lab, row)).exists()]
    return [_contest(form) for path in paths for form in json.loads(path.read_text("utf-8"))]


def _path(lab: Lab, row: str) -> Path:
    return lab.cache / "results" / lab.scale.value / f"{row}.json"


def _contest(form: dict[str, Any]) -> Contest:
    figures = [Figure(**figure) for figure in form["figures"]]
    targets = [Target(**target) for target in form["targets"]]
    return Contest(**{**form, "figures": figures, "targets": targets})
