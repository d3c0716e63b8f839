"""`pravah plan`: what a job would do; lists, tries the first files, writes nothing."""

from os.path import commonprefix
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pravah.cli import pipeline
from pravah.cli.application import opened
from pravah.cli.console import Console, die_of_interrupts
from pravah.cli.exit_codes import ExitCode
from pravah.cli.figures import counted, duration, rate, share, size
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.names import from_path, from_uri, printable
from pravah.cli.render import pairs
from pravah.cli.spec_flags import SpecFlags, job_spec
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.jobs.preview import Preview
    from pravah.model.spec import JobSpec

# Enough to see the pattern of what goes wrong.
MOST_PROBLEMS = 5


def plan(flags: SpecFlags, filters: FilterFlags, console: Console) -> ExitCode:
    """Show what a job would do; writes nothing."""
    die_of_interrupts()
    spec = job_spec(flags, filters)
    with opened(console) as application:
        seen = application.preview(spec)
    if console.json:
        console.data(seen.to_dict())
    else:
        console.lines(pairs(_rows(seen)))
        console.line("nothing was written")
    return ExitCode.OK if seen.within_budget else ExitCode.FILES_FAILED


def _rows(seen: "Preview") -> list[tuple[str, str]]:
    spec = seen.spec.to_dict()
    listed = f"{counted(seen.entries, 'file')}, {size(seen.size_bytes)}"
    filtered = f"; {counted(seen.filtered, 'file')} filtered" if seen.filtered else ""
    took = f"(listed in {duration(seen.listed_in_s)})"
    rows = [
        ("source", f"{pipeline.sources(spec)}   {listed}{filtered}   {took}"),
        ("steps", f"{pipeline.steps(spec)}   {_payloads(seen.spec)}"),
        ("sink", _sink(seen)),
        ("results", _results(seen)),
        ("access", _access(seen)),
        ("sample", _sample(seen)),
        ("first", "\n".join(_pair(*pair) for pair in seen.firsts)),
        ("problems", _problems(seen)),
    ]
    return [(name, value) for name, value in rows if value]


def _payloads(spec: "JobSpec") -> str:
    """Write what flows between the steps: `bytes → bytes → table`."""
    described = [registry().find(step.name) for step in spec.steps]
    return " → ".join([described[0].input, *(descriptor.output for descriptor in described)])


def _sink(seen: "Preview") -> str:
    sink = seen.spec.sink
    if seen.spec.in_place:
        return "none: each source is replaced by its output"
    if sink is None:
        return "none" if _results(seen) else "none: the findings are printed"
    if not seen.publishes and not _results(seen):
        return f"{from_uri(sink.uri)}   findings only, below _pravah/"
    names = printable(sink.path) if sink.path else _names(seen)
    rest = f"overwrite {sink.overwrite}, durability {sink.durability}"
    if seen.output_count is not None:
        names = printable(sink.path) if sink.path else ""
        rest = f"{counted(seen.output_count, 'output')}   {rest}"
    return "   ".join(filter(None, [from_uri(sink.uri), names, rest]))


def _results(seen: "Preview") -> str:
    """Write where findings go, and how, where that was said."""
    results = seen.spec.results
    if results is None or (results.uri is None and seen.spec.sink is None):
        return ""
    return f"{from_uri(results.uri) if results.uri else 'below _pravah/'}   {results.format}"


def _names(seen: "Preview") -> str:
    """Write how outputs are called, by what became of the first: `{path} without .gz, + .zst`."""
    if not seen.firsts:
        return ""
    steps = [{"name": step.name, "params": step.params} for step in seen.spec.steps]
    if registry().expands(steps):
        return "{dir}/{stem}-{part}{ext}"
    source, output = (name.rpartition("/")[2] for name in seen.firsts[0])
    output = unquote(output)
    kept = commonprefix([source, output])  # noqa: RUF071 - of one name, letter by letter
    if kept != source:  # what differs begins with a whole extension
        kept = kept.rpartition(".")[0]
    lost, added = source[len(kept) :], output[len(kept) :]
    named = "{path}" + (f" without {lost}" if lost else "") + (f" + {added}" if added else "")
    return printable(named)


def _access(seen: "Preview") -> str:
    listed = "list ✓"
    if seen.unreadable:
        listed = f"list ✗ {counted(seen.unreadable, 'directory')} can't be read"
    if seen.free_bytes is None:
        return listed
    needed = (seen.predicted or {}).get("output_bytes", 0)
    room = "✓" if needed <= seen.free_bytes else "✗"
    return f"{listed}   write ✓   room {room} {size(seen.free_bytes)} are free"


def _pair(source: str, output: str) -> str:
    return f"{from_path(source)} → {from_uri(output)}"


def _sample(seen: "Preview") -> str:
    sample, predicted = seen.sample, seen.predicted
    if sample is None or predicted is None:
        return ""
    speed = f"{counted(sample.files, 'file')}: {rate(sample.bytes_in / sample.duration_s)} here"
    about = f"about {duration(predicted['duration_s'])}"
    if not seen.publishes:
        return f"{speed} → {about}"
    ratio = f"{share(sample.bytes_out, sample.bytes_in)} of the size"
    return f"{speed}, {ratio} → {about} and {size(predicted['output_bytes'])}"


def _problems(seen: "Preview") -> str:
    shown = [
        printable(f"{from_path(problem['path'])}: {problem['kind']}: {problem['message']}")
        for problem in seen.problems[:MOST_PROBLEMS]
    ]
    more = len(seen.problems) - len(shown)
    return "\n".join([*shown, *([f"and {more} more in the sample"] if more > 0 else [])])
