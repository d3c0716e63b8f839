"""Drift of columns, over records as `extract_headers` gives them."""

from __future__ import annotations

import json
import random

from pravah.model.drift import MOST_SCHEMAS, Drift


def _line(path: str, columns: list[tuple[str, str]]) -> bytes:
    found = [{"name": name, "type": kind} for name, kind in columns]
    return json.dumps({"path": path, "columns": found}).encode()


BASE = [("id", "int64"), ("name", "text"), ("at", "date")]


def test_drift_of_equal_tables_is_one_schema() -> None:
    drift = Drift.of(_line(f"{number}.csv", BASE) for number in range(9))
    assert drift.union == drift.intersection == ["id", "name", "at"]
    (schema,) = drift.to_dict()["schemas"]
    assert (schema["tables"], schema["drift"]) == (9, None)
    assert schema["examples"] == ["0.csv", "1.csv", "2.csv"]


def test_drift_tells_what_is_missing_added_changed_and_in_another_order() -> None:
    lines = [
        *(_line(f"{number}.csv", BASE) for number in range(3)),
        _line("less.csv", [("id", "int64"), ("at", "date")]),
        _line("more.csv", [*BASE, ("note", "text")]),
        _line("other.csv", [("id", "text"), ("name", "text"), ("at", "date")]),
        _line("turned.csv", [("name", "text"), ("id", "int64"), ("at", "date")]),
    ]
    drift = Drift.of(lines)
    found = {s["examples"][0]: s["drift"] for s in drift.to_dict()["schemas"][1:]}
    same = {"missing": [], "added": [], "changed": {}, "reordered": False}
    assert found == {
        "less.csv": {**same, "missing": ["name"]},
        "more.csv": {**same, "added": ["note"]},
        "other.csv": {**same, "changed": {"id": ["int64", "text"]}},
        "turned.csv": {**same, "reordered": True},
    }
    assert drift.union == ["id", "name", "at", "note"]
    assert drift.intersection == ["id", "at"]


def test_drift_of_many_tables_counts_each_in_its_schema() -> None:
    chance = random.Random(7)
    schemas = [[*BASE, (f"extra{number}", "text")] for number in range(40)]
    chosen = [chance.randrange(40) for _ in range(10_000)]
    drift = Drift.of(_line(f"{at}.csv", schemas[which]) for at, which in enumerate(chosen))
    told = {s["columns"][-1]["name"]: s["tables"] for s in drift.to_dict()["schemas"]}
    assert told == {f"extra{number}": chosen.count(number) for number in range(40)}
    assert drift.intersection == ["id", "name", "at"]


def test_drift_beyond_its_bound_counts_tables_and_what_all_share() -> None:
    lines = (_line(f"{n}.csv", [("id", "int64"), (f"c{n}", "text")]) for n in range(MOST_SCHEMAS))
    drift = Drift.of([*lines, _line("last.csv", [("other", "text")])])
    assert (len(drift.schemas), drift.others, drift.tables) == (MOST_SCHEMAS, 1, MOST_SCHEMAS + 1)
    assert drift.intersection == []


def test_records_of_other_steps_are_no_tables() -> None:
    assert Drift.of([b'{"path": "a", "checksum": "00"}']).tables == 0
