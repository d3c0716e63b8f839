"""The closing account of a job for people: the books, the failures, the speed, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pravah.cli.figures import count, counted, duration, rate, share, size
from pravah.cli.names import cut, from_path, from_uri, printable, width
from pravah.cli.render import Painter, Style, ends, pairs

_HEADLINES = {
    "completed": ("✓", Style.GOOD),
    "failed": ("✗", Style.BAD),
    "cancelled": ("■", Style.WARN),
    "paused": ("‖", Style.WARN),
    "running": ("▸", Style.PLAIN),
    "pending": ("·", Style.DIM),
}
# After these the table would push the rest off the screen; `jobs failures` has all.
MOST_GROUPS = 10
# A part of the CPU that others took is told from here on.
_NOTABLE = 0.1
_RETRY = "retry: pravah jobs retry "
# How people call what a job waited for.
_BOTTLENECKS = {
    "syncing": "syncing to disk",
    "publishing": "giving outputs their names",
    "verifying": "reading outputs back",
    "ledger": "the ledger",
    "preparing": "opening directories",
    "retrying": "waiting before another try",
    "read_rate": "limits.read_rate",
    "write_rate": "limits.write_rate",
    "memory": "limits.memory",
    "tasks": "limits.tasks",
}
# Rows of the books that are shown even where they are 0.
_ALWAYS = ("listed", "done")


def account(
    job: Mapping[str, Any], report: Mapping[str, Any], painter: Painter, columns: int
) -> list[str]:
    """Write the account of a job that has stopped: `job` is its wire form."""
    lines = [headline(job, painter, columns), *books(job, report)]
    failures = report.get("failures") or []
    if failures:
        lines += ["", *failure_groups(failures, job["id"], columns), ""]
    return lines + closing(job, report)


def closing(job: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    """Write what comes after the books: speed, what to know, where the report is."""
    rows = list(_speed_rows(job, report.get("bottleneck")))
    if report.get("durability") == "none":
        rows.append(("durability", "none: outputs survive a kill, but not a power cut"))
    if report.get("fencing") == "weak":
        rows.append(("fencing", "weak: the object store ignores conditions of writes"))
    if report.get("swept") is False:
        rows.append(("swept", "no: what stopped workers had begun may still lie in the sink"))
    if hedged := report.get("hedged"):
        rows.append(("hedged", f"{counted(hedged, 'late request')} sent a second time"))
    if copies := report.get("copies"):
        rows.append(("copies", _copies(copies)))
    if results := report.get("results"):
        rows.append(("results", f"{count(results['count'])} in {from_uri(results['uri'])}"))
    if "rows" in job:
        rows.append(("rows", _rows(job["rows"])))
    after = report.get("after")
    if after and (after["finished"] or after["changed"] or after["after_failed"]):
        rows.append(("sources", _sources(after)))
    if job["error"]:
        rows.append(("error", printable(str(job["error"].get("message", "")))))
    rows.append(("report", f"pravah jobs report {job['id']} -o report.parquet"))
    return pairs(rows, indent="  ")


def _copies(copies: Mapping[str, int]) -> str:
    """Write who made the copies: `12 by the store itself, 3 streamed`."""
    streamed = f", {count(copies['streamed'])} streamed" if copies["streamed"] else ""
    return f"{count(copies['server'])} by the store itself{streamed}"


def _rows(books: Mapping[str, int]) -> str:
    """Write what became of the rows of tables: `8 in, 4 out, 4 filtered`."""
    always = ("in", "out")
    return ", ".join(f"{count(n)} {name}" for name, n in books.items() if n or name in always)


def _sources(after: Mapping[str, Any]) -> str:
    """Write what became of the sources: `12 removed, 1 changed meanwhile and kept`."""
    done = {"delete": "removed", "move": "moved"}[after["action"]]
    rest = {"changed": "changed meanwhile and kept", "after_failed": f"could not be {done}"}
    parts = [f"{count(after['finished'])} {done}"]
    parts += [f"{count(after[k])} {text}" for k, text in rest.items() if after[k]]
    if after.get("fencing") == "weak":
        parts.append("each looked at just before, as the object store removes whatever has a key")
    return ", ".join(parts)


def headline(job: Mapping[str, Any], painter: Painter, columns: int) -> str:
    """Write the first line: what became of the job, how long it took, its id at the right."""
    sign, style = _HEADLINES[job["status"]]
    took = f" in {duration(job['elapsed_s'])}" if job["finished_at"] else ""
    text = ends(f"{sign} {job['status']}{took}", job["id"], columns)
    return painter.paint(sign, style) + text[len(sign) :]


def books(job: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    """Write the books: every listed entry is in exactly one of the rows below the first."""
    counts: Mapping[str, int] = job["counts"]
    digits = max(len(count(number)) for number in counts.values())
    remarks = {
        "listed": size(report["listed_bytes"]) if "listed_bytes" in report else "",
        "done": _in_and_out(job),
        "failed": _budget(job),
        "remaining": "not worked on" if job["finished_at"] else "",
    }
    rows = [
        (name, f"{count(number):>{digits}}   {remarks.get(name) or _reasons(job, name)}".rstrip())
        for name, number in counts.items()
        if number or name in _ALWAYS
    ]
    return [f"  {name:<10}{value}" for name, value in rows]


def failure_groups(
    failures: Sequence[Mapping[str, Any]], job_id: str, columns: int, *, whole: bool = False
) -> list[str]:
    """Write the groups of failures: how many of a kind, why, examples, and how to try again.

    What is too long or too much is left to `pravah jobs failures`, which asks for the `whole`.
    """
    total = sum(failure["count"] for failure in failures)
    lines = [f"  failures ({counted(total, 'file')}, {counted(len(failures), 'cause')})"]
    told = failures if whole else failures[:MOST_GROUPS]
    groups = _failure_lines(told, job_id, columns)
    if whole:
        return lines + groups
    fitted = [cut(line, columns) if _may_be_cut(line) else line for line in groups]
    lines += fitted
    if len(failures) > MOST_GROUPS:
        more = counted(len(failures) - MOST_GROUPS, "more cause")
        lines.append(f"    {more}: pravah jobs failures {job_id}")
    elif fitted != groups:
        lines.append(f"    in full: pravah jobs failures {job_id}")
    return lines


def _failure_lines(failures: Sequence[Mapping[str, Any]], job_id: str, columns: int) -> list[str]:
    ids = max(len(failure["id"]) for failure in failures)
    counts = max(len(count(failure["count"])) for failure in failures)
    kinds = max(len(failure["kind"]) for failure in failures)
    steps = max(len(failure["step"] or "-") for failure in failures)
    lines = []
    for failure in failures:
        head = f"    {failure['id']:<{ids}}  {count(failure['count']):>{counts}} ×  "
        cause = f"{failure['kind']:<{kinds}}  {failure['step'] or '-':<{steps}}  "
        lines.append(head + cause + printable(failure["message"]))
        indent = " " * width(head)
        retry = f"{_RETRY}{job_id} --group {failure['id']}"
        examples = ", ".join(from_path(example) for example in failure["examples"])
        lines += _side_by_side(f"{indent}{examples}", f"{indent}{retry}", columns)
    return lines


def _may_be_cut(line: str) -> bool:
    """Tell what may be shortened: a command to copy is of no use without its end."""
    return not line.lstrip().startswith(_RETRY)


def _side_by_side(left: str, right: str, columns: int) -> list[str]:
    """Put two texts on one line where they fit, else one below the other."""
    if width(left) + width(right.lstrip()) + 2 <= columns:
        return [ends(left, right.lstrip(), columns)]
    return [left, right]


def _in_and_out(job: Mapping[str, Any]) -> str:
    if not job["bytes_in"]:
        return ""
    if not job["spec"].get("sink") and not job["spec"].get("in_place"):
        return size(job["bytes_in"])
    both = f"{size(job['bytes_in'])} → {size(job['bytes_out'])}"
    return f"{both} ({share(job['bytes_out'], job['bytes_in'])})"


def _reasons(job: Mapping[str, Any], outcome: str) -> str:
    """List why entries have this outcome: `6 symlink, 3 fifo`, or just the one reason."""
    prefix = f"{outcome}:"
    reasons = {k.removeprefix(prefix): n for k, n in job["reasons"].items() if k.startswith(prefix)}
    if list(reasons.values()) == [job["counts"][outcome]]:
        return printable(next(iter(reasons)))
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count(number)} {printable(reason)}" for reason, number in ordered)


def _budget(job: Mapping[str, Any]) -> str:
    budget = job["spec"].get("on_error", {}).get("budget", 0)
    if job["error"] and job["error"].get("kind") == "budget_exceeded":
        return f"above the budget of {budget}"
    if not job["finished_at"] or budget in (0, "0"):
        return ""
    return f"{'within' if job['status'] == 'completed' else 'above'} the budget of {budget}"


def _speed_rows(
    job: Mapping[str, Any], narrowest: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    named = bottleneck_text(narrowest) if narrowest else ""
    if job["bytes_in"] and job["elapsed_s"]:
        yield "speed", f"{_speed(job)} · bottleneck: {named}" if named else _speed(job)
    elif narrowest and narrowest["name"] != "start_up":
        yield "bottleneck", named


def bottleneck_text(narrowest: Mapping[str, Any]) -> str:
    """Write what a job waited for most, and how much of the ceilings of CPU and disk it reached."""
    name, of_time = narrowest["name"], f"{share(narrowest['share'], 1)} of the time"
    if name == "cpu":
        parts = [_cpu(narrowest)]
    elif name == "start_up":
        return "start-up, there was little to do"
    else:
        cpu = f"CPU at {share(narrowest['cpu_share'], 1)}"
        parts = [f"{_BOTTLENECKS.get(name, name)} ({of_time})", cpu]
    if narrowest["disk_share"] is not None:
        parts.append(f"disk at {share(narrowest['disk_share'], 1)}")
    return "; ".join(parts)


def _cpu(narrowest: Mapping[str, Any]) -> str:
    cores, others = narrowest["cores"], narrowest["cpu_others_share"]
    own = f"{share(narrowest['cpu_share'] - others, 1)} of {counted(round(cores), 'core')}"
    beside = f", others took {share(others, 1)}" if others >= _NOTABLE else ""
    return f"CPU ({printable(narrowest['what'])}, {own}{beside})"


def _speed(job: Mapping[str, Any]) -> str:
    files_per_s = (job["counts"]["done"] + job["counts"]["failed"]) / job["elapsed_s"]
    return f"{rate(job['bytes_in'] / job['elapsed_s'])} in, {count(round(files_per_s))} files/s"
