"""The closing account of a job."""

from typing import Any

from pravah.cli.account import account, books, bottleneck_text, closing, failure_groups, headline
from pravah.cli.names import width
from pravah.cli.render import Painter

GIB = 1024**3
PLAIN = Painter(colour=False)
JOB_ID = "job_01KAB7ZZZZZZZZZZZZZZZZZZZZ"


def job(**changes: Any) -> dict[str, Any]:
    form: dict[str, Any] = {
        "id": JOB_ID,
        "status": "completed",
        "finished_at": "2026-01-01T00:00:38Z",
        "elapsed_s": 38.2,
        "spec": {"steps": ["compress"], "sink": {"uri": "file:///out"}, "on_error": {"budget": 5}},
        "counts": {
            "listed": 128_402,
            "done": 128_391,
            "skipped": 9,
            "filtered": 0,
            "failed": 2,
            "vanished": 0,
            "poisoned": 0,
            "remaining": 0,
        },
        "reasons": {"skipped:unchanged": 9},
        "bytes_in": int(41.3 * GIB),
        "bytes_out": int(9.8 * GIB),
        "error": None,
    }
    return form | changes


FAILURE = {
    "id": "F1",
    "kind": "csv_ragged_row",
    "step": "convert",
    "message": "line 18: expected 6 fields, found 7",
    "count": 2,
    "examples": ["data/2024/11/a.csv", "data/2025/02/c.csv"],
}


def test_account_shows_books_failures_speed_and_report() -> None:
    report = {"listed_bytes": int(41.3 * GIB), "failures": [FAILURE]}
    assert account(job(), report, PLAIN, 100) == [
        "✓ completed in 38.2 s" + " " * (100 - 21 - len(JOB_ID)) + JOB_ID,
        "  listed    128,402   41.3 GiB",
        "  done      128,391   41.3 GiB → 9.8 GiB (23 %)",
        "  skipped         9   unchanged",
        "  failed          2   within the budget of 5",
        "",
        "  failures (2 files, 1 cause)",
        "    F1  2 ×  csv_ragged_row  convert  line 18: expected 6 fields, found 7",
        "             data/2024/11/a.csv, data/2025/02/c.csv",
        f"             retry: pravah jobs retry {JOB_ID} --group F1",
        "",
        "  speed   1.1 GiB/s in, 3,361 files/s",
        f"  report  pravah jobs report {JOB_ID} -o report.parquet",
    ]


def test_retry_stands_beside_the_examples_where_there_is_room() -> None:
    lines = failure_groups([FAILURE], JOB_ID, 140)
    assert lines[2].startswith("             data/2024/11/a.csv, data/2025/02/c.csv  ")
    assert lines[2].endswith("--group F1")


def test_headline_of_each_status_differs_without_colour() -> None:
    statuses = ("completed", "failed", "cancelled", "paused", "running", "pending")
    signs = {headline(job(status=status), PLAIN, 100)[0] for status in statuses}
    assert len(signs) == len(statuses)


def test_reasons_of_an_outcome_are_counted_the_largest_first() -> None:
    counts = job()["counts"] | {"skipped": 9}
    reasons = {"skipped:fifo": 2, "skipped:symlink": 6, "skipped:socket": 1, "filtered:exclude": 4}
    lines = books(job(counts=counts, reasons=reasons), {})
    assert "  skipped         9   6 symlink, 2 fifo, 1 socket" in lines


def test_failure_text_that_could_move_the_cursor_is_escaped() -> None:
    evil = FAILURE | {"message": "\x1b[2J", "examples": ["a\x1b]0;x\x07", "b\nc"]}
    lines = failure_groups([evil], JOB_ID, 120)
    assert all(line.isprintable() for line in lines)


def test_only_the_first_groups_are_shown_and_the_rest_is_counted() -> None:
    many = [FAILURE | {"id": f"F{number}"} for number in range(1, 14)]
    lines = failure_groups(many, JOB_ID, 100)
    assert lines[-1] == f"    3 more causes: pravah jobs failures {JOB_ID}"
    assert all(width(line) <= 100 for line in lines)


def test_message_that_is_cut_says_where_it_is_whole() -> None:
    long = FAILURE | {"message": "no room " * 30}
    lines = failure_groups([long], JOB_ID, 100)
    assert lines[-1] == f"    in full: pravah jobs failures {JOB_ID}"
    assert all(width(line) <= 100 for line in lines)


def test_failures_in_full_are_neither_cut_nor_left_out() -> None:
    long = FAILURE | {"message": "no room " * 30 + "at all", "examples": ["d/" * 80 + "e"]}
    many = [long | {"id": f"F{number}"} for number in range(1, 14)]
    lines = failure_groups(many, JOB_ID, 100, whole=True)
    assert sum(line.endswith("at all") for line in lines) == 13
    assert sum(line.endswith("d/e") for line in lines) == 13
    assert lines[-1] == f"{' ' * 14}retry: pravah jobs retry {JOB_ID} --group F13"


BOTTLENECK: dict[str, Any] = {
    "name": "cpu",
    "share": 0.97,
    "what": "convert",
    "cores": 2.0,
    "cpu_share": 0.97,
    "cpu_others_share": 0.0,
    "disk_share": 0.31,
    "seconds": {},
}


def test_speed_names_the_bottleneck_and_the_share_of_each_ceiling() -> None:
    (line, _) = closing(job(), {"bottleneck": BOTTLENECK})
    assert line == (
        "  speed   1.1 GiB/s in, 3,361 files/s · bottleneck: CPU (convert, 97 % of 2 cores); "
        "disk at 31 %"
    )


def test_bottleneck_that_others_make_is_told_as_such() -> None:
    found = BOTTLENECK | {"cpu_others_share": 0.42, "disk_share": None}
    assert bottleneck_text(found) == "CPU (convert, 55 % of 2 cores, others took 42 %)"


def test_bottleneck_that_is_a_limit_is_called_as_in_the_spec() -> None:
    found = BOTTLENECK | {"name": "read_rate", "share": 0.8, "cpu_share": 0.2}
    text = "limits.read_rate (80 % of the time); CPU at 20 %; disk at 31 %"
    assert bottleneck_text(found) == text


def test_bottleneck_of_a_job_that_read_nothing_has_a_row_of_its_own() -> None:
    idle = job(bytes_in=0)
    listing = BOTTLENECK | {"name": "listing", "share": 0.9, "disk_share": None}
    assert closing(idle, {"bottleneck": listing})[0].startswith("  bottleneck  listing (90 %")
    start_up = BOTTLENECK | {"name": "start_up"}
    assert closing(idle, {"bottleneck": start_up})[0].startswith("  report")
