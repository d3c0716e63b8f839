"""The progress bar and its plain form."""

import io

import pytest

from pravah.cli import progress
from pravah.cli.names import width
from pravah.cli.progress import Bar, PlainLines, Sight, bar_lines, plain_line
from pravah.cli.render import Painter
from pravah.model.job import Counts

HALFWAY = Sight(
    counts=Counts(listed=128_402, done=91_164, failed=2, remaining=37_236),
    listed_bytes=int(41.3 * 1024**3),
    bytes_in=int(29.4 * 1024**3),
    scan_complete=True,
    rate_bytes_per_s=1.1 * 1024**3,
    eta_s=11.2,
    elapsed_s=27.0,
)
SCANNING = Sight(
    counts=Counts(listed=52_001, done=12, remaining=51_989),
    listed_bytes=12 * 1024**3,
    bytes_in=4096,
    scan_complete=False,
    rate_bytes_per_s=None,
    eta_s=None,
    elapsed_s=0.4,
)


def test_bar_lines_show_share_files_bytes_rate_failures_and_the_rest() -> None:
    assert bar_lines(HALFWAY, 0.2, 110) == [
        "  scanned 128,402 files, 41.3 GiB" + " " * 72 + "0.2 s",
        "  "
        + "━" * 26
        + "─" * 11
        + "   71 %   91,166 files · 29.4 GiB · 1.1 GiB/s · 2 failed · 11 s left",
    ]


def test_bar_lines_while_scanning_promise_no_share() -> None:
    assert bar_lines(SCANNING, None, 60) == [
        "  scanning 52,001 files, 12.0 GiB                      0.4 s",
        "  12 files · 4.0 KiB",
    ]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
def test_bar_never_draws_past_the_terminal(columns: int) -> None:
    stream = io.StringIO()
    Bar(stream, Painter(colour=False), lambda: columns).show(HALFWAY)
    lines = stream.getvalue().replace("\r", "").replace("\x1b[K", "").split("\n")
    assert len(lines) == 2
    assert all(width(line) < columns for line in lines)


def test_bar_redraws_in_place_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FRAME_S", 0.0)
    stream = io.StringIO()
    bar = Bar(stream, Painter(colour=False), lambda: 80)
    bar.show(SCANNING)
    bar.show(HALFWAY)
    bar.close()
    assert stream.getvalue().count("\r\x1b[1A") == 2
    assert stream.getvalue().endswith("\r\x1b[1A\x1b[J")


def test_plain_line_has_no_control_characters() -> None:
    assert (
        plain_line(HALFWAY)
        == "71 %  91,166 of 128,402 files, 29.4 GiB, 1.1 GiB/s, 2 failed, 11 s left"
    )
    assert plain_line(SCANNING) == "scanning, 52,001 files so far, 12 files, 4.0 KiB done"


def test_plain_lines_come_every_few_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    stream = io.StringIO()
    lines = PlainLines(stream, "job_1")
    for step_s in (0.0, 1.0, 4.5, 0.1, 4.0, 5.0):
        now_s[0] += step_s
        lines.show(HALFWAY)
    assert stream.getvalue().count("\n") == 2
    assert stream.getvalue().startswith("job_1  71 %")
