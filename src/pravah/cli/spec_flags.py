"""The flags that describe a job, shared by `run`, `plan` and `jobs create`.

Flags, `--set` and a YAML file build one mapping, which becomes a `JobSpec`: whoever describes
a job in another way (REST, Python) gets the same checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli.filter_flags import EVERYTHING, FilterFlags
from pravah.errors import NotYetError, SpecError
from pravah.model import spec_file
from pravah.model.uri import typed_uri
from pravah.registry import Registry, registry

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec


class Overwrite(StrEnum):
    """What happens to a file that has the output's name."""

    CHANGED = "changed"
    NEVER = "never"
    NEWER = "newer"
    ALWAYS = "always"
    ERROR = "error"


class OnCollision(StrEnum):
    """What becomes of files whose outputs would get one name."""

    FAIL = "fail"
    KEEP_EXT = "keep_ext"


class Durability(StrEnum):
    """How outputs reach the disk before they count."""

    NONE = "none"
    BATCH = "batch"
    ALWAYS = "always"


class Verify(StrEnum):
    """How outputs are checked before they are published."""

    SIZE = "size"
    CHECKSUM = "checksum"
    CONTENT = "content"


class ResultsFormat(StrEnum):
    """How findings are written."""

    NDJSON = "ndjson"
    PARQUET = "parquet"
    CSV = "csv"


class Missing(StrEnum):
    """What a name of a list is that is not there."""

    FAIL = "fail"
    IGNORE = "ignore"


class WhenExceeded(StrEnum):
    """What becomes of a job in which more files fail than the budget allows."""

    CONTINUE = "continue"
    PAUSE = "pause"
    ABORT = "abort"


def _step_names(incomplete: str) -> list[tuple[str, str]]:
    return [(d.name, d.summary) for d in registry() if d.name.startswith(incomplete)]


@dataclass(frozen=True)
class SpecFlags:
    """The flags that describe a job; each field is one of them."""

    sources: Annotated[
        list[str] | None, Argument(metavar="SOURCE...", help="Directories and files to work on.")
    ] = None
    source_path: Annotated[
        list[str] | None, Option(metavar="SOURCE", help="The same as SOURCE.")
    ] = None
    files_from: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Work on the names in a file, - (stdin) or job:ID/failed, and on no others.",
        ),
    ] = None
    missing: Annotated[
        Missing | None, Option(help="What a listed name is that is not there (default: fail).")
    ] = None
    file: Annotated[
        str | None, Option("--file", "-f", metavar="SPEC", help="Read the job from a YAML file.")
    ] = None
    to: Annotated[
        list[str] | None,
        Option("--to", "--destination-path", metavar="SINK", help="Where outputs go."),
    ] = None
    step: Annotated[
        list[str] | None,
        Option(
            "--step", "-s", "--processor",
            metavar="STEP",
            help="NAME, NAME:VALUE, NAME:key=value,… or a YAML flow map; repeatable.",
            autocompletion=_step_names,
        ),
    ] = None  # fmt: skip
    name: Annotated[str | None, Option(metavar="NAME", help="Name the job.")] = None
    path: Annotated[
        str | None,
        Option(metavar="TEMPLATE", help="How outputs are named, as in {dir}/{stem}.parquet."),
    ] = None
    capture: Annotated[
        str | None,
        Option(metavar="PATTERN", help="Name parts of a source's path, as in {host}/{date}.csv."),
    ] = None
    on_collision: Annotated[
        OnCollision | None,
        Option(help="What to do where outputs would get one name (default: fail)."),
    ] = None
    overwrite: Annotated[
        Overwrite | None, Option(help="What to do where an output exists (default: changed).")
    ] = None
    durability: Annotated[
        Durability | None, Option(help="How outputs reach the disk (default: batch).")
    ] = None
    verify: Annotated[Verify | None, Option(help="How outputs are checked (default: size).")] = None
    preserve: Annotated[
        list[str] | None,
        Option(
            metavar="WHAT",
            help="mtime (default), mode, owner, links, empty_dirs; metadata, tags; repeatable.",
        ),
    ] = None
    in_place: Annotated[
        bool, Option("--in-place", help="Replace each source by its output; no sink.")
    ] = False
    after: Annotated[
        str | None,
        Option(
            metavar="keep|delete|move:DIR",
            help="What becomes of a source once its output is safe (default: keep).",
        ),
    ] = None
    results: Annotated[
        ResultsFormat | None,
        Option(help="How what inspect steps find is written (default: ndjson)."),
    ] = None
    results_to: Annotated[
        str | None,
        Option(metavar="PLACE", help="A file or directory for it (default: below the sink)."),
    ] = None
    budget: Annotated[
        str | None, Option(metavar="COUNT|PERCENT", help="Failed files to tolerate (default: 0).")
    ] = None
    when_exceeded: Annotated[
        WhenExceeded | None, Option(help="What more failures do to the job (default: continue).")
    ] = None
    max_attempts: Annotated[
        str | None, Option(metavar="N", help="Tries of a file, for errors that may pass.")
    ] = None
    memory: Annotated[
        str | None, Option(metavar="SIZE", help="Memory for the engine (default: 1GiB).")
    ] = None
    read_rate: Annotated[
        str | None, Option(metavar="RATE", help="Most to read in a second, as in 200MB/s.")
    ] = None
    write_rate: Annotated[str | None, Option(metavar="RATE", help="Most to write in a second.")] = (
        None
    )
    set: Annotated[
        list[str] | None,
        Option(metavar="KEY=VALUE", help="Set any key of the spec, as in sink.uri=out/."),
    ] = None


def job_spec(flags: SpecFlags, filters: FilterFlags = EVERYTHING) -> "JobSpec":
    """Make the job spec that these flags describe, checked as far as no file is touched."""
    return read_spec(spec_mapping(flags, registry(), filters))


def read_spec(mapping: dict[str, Any]) -> "JobSpec":
    """Make the job spec of a mapping."""
    # Pydantic is the slowest of all imports: whoever can begins something else before.
    from pravah.model.spec import JobSpec

    spec = JobSpec.parse(mapping)
    registry().check([(step.name, step.params) for step in spec.steps])
    return spec


def spec_mapping(
    flags: SpecFlags, known: Registry, filters: FilterFlags = EVERYTHING
) -> dict[str, Any]:
    """Merge file, flags and `--set`, in this order; what comes later wins."""
    mapping = spec_file.load(flags.file) if flags.file else {}
    _take_source(mapping, flags)
    if keys := filters.keys():
        _section(mapping, "source").update(keys)
    if flags.step:
        mapping["steps"] = list(flags.step)
    if flags.to:
        _section(mapping, "sink")["uri"] = typed_uri(_sink(flags.to))
    for section, key, value in (
        ("source", "files_from", flags.files_from and typed_uri(flags.files_from)),
        ("source", "missing", flags.missing),
        ("source", "capture", flags.capture),
        ("sink", "path", flags.path),
        ("sink", "on_collision", flags.on_collision),
        ("sink", "overwrite", flags.overwrite),
        ("sink", "durability", flags.durability),
        ("sink", "verify", flags.verify),
        ("on_error", "budget", flags.budget),
        ("on_error", "when_exceeded", flags.when_exceeded),
        ("on_error", "max_attempts", flags.max_attempts),
        ("limits", "memory", flags.memory),
        ("limits", "read_rate", flags.read_rate),
        ("limits", "write_rate", flags.write_rate),
    ):
        if value is not None:
            _section(mapping, section)[key] = str(value)
    _take_results(mapping, flags)
    if flags.preserve:
        _section(mapping, "sink")["preserve"] = [w for p in flags.preserve for w in p.split(",")]
    if flags.in_place:
        mapping["in_place"] = True
    if flags.after is not None:
        move = flags.after.removeprefix("move:")
        after = {"move": typed_uri(move)} if move != flags.after else flags.after
        _section(mapping, "source")["after"] = after
    if flags.name is not None:
        mapping["name"] = flags.name
    for assignment in flags.set or ():
        spec_file.assign(mapping, assignment)
    if isinstance(mapping.get("steps"), list):
        mapping["steps"] = [known.spec_form(step) for step in mapping["steps"]]
    _complete(mapping)
    return mapping


def _take_source(mapping: dict[str, Any], flags: SpecFlags) -> None:
    roots = [*(flags.sources or ()), *(flags.source_path or ())]
    if roots:
        uris = [typed_uri(root) for root in roots]
        _section(mapping, "source")["uri"] = uris[0] if len(uris) == 1 else uris


def _take_results(mapping: dict[str, Any], flags: SpecFlags) -> None:
    # A bare word stands for the format here, and not for the URI.
    if isinstance(mapping.get("results"), str):
        mapping["results"] = {"format": mapping["results"]}
    if flags.results is not None:
        _section(mapping, "results")["format"] = str(flags.results)
    if flags.results_to is not None:
        _section(mapping, "results")["uri"] = typed_uri(flags.results_to)


def _section(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    """Give a section of the spec as a map; a bare string stands for its URI."""
    section = mapping.get(name)
    if not isinstance(section, dict):
        section = {} if section is None else {"uri": section}
        mapping[name] = section
    return section


def _sink(named: Sequence[str]) -> str:
    if len(named) > 1:
        raise SpecError(
            f"`--to` names {len(named)} sinks, `{named[0]}` and `{named[1]}`: a job has one",
            hint="run it once for each of them",
        )
    (to,) = named
    if to == "-":
        raise NotYetError(
            "writing outputs to stdout (`--to -`) is not part of this release",
            hint="name a file or a directory after `--to`",
        )
    return to


def _complete(mapping: dict[str, Any]) -> None:
    """Say in the command line's own words what a spec can't do without."""
    missing = [(key, how) for key, how in _NEEDED if not mapping.get(key)]
    if missing:
        raise SpecError(
            f"{_joined([key for key, _ in missing])} missing",
            hint=", ".join(how for _, how in missing),
        )
    sink = mapping.get("sink")
    if isinstance(sink, dict) and not sink.get("uri") and (keys := _SINK_FLAGS & sink.keys()):
        raise _without_sink(sorted(keys), in_place=bool(mapping.get("in_place")))


def _without_sink(keys: list[str], *, in_place: bool) -> SpecError:
    flags = " and ".join(f"`--{key.replace('_', '-')}`" for key in keys)
    if in_place:
        return SpecError(
            f"`--in-place` replaces the sources, and {flags} {_are(keys)} for a sink",
            kind="in_place_with_sink",
            hint=f"leave out {flags}, or write to a directory by `--to` in place of `--in-place`",
        )
    return SpecError(
        f"the sink is missing, which {flags} {_are(keys)} for",
        kind="sink_missing",
        hint="name a directory after `--to`",
    )


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


# What says how outputs are written, and nothing of where.
_SINK_FLAGS = {"path", "on_collision", "overwrite", "durability", "verify", "preserve"}

_NEEDED = (
    ("source", "name a directory or a file to work on"),
    ("steps", "name a step, as in `-s compress`"),
)


def _joined(keys: Sequence[str]) -> str:
    words = {"source": "the source", "steps": "steps"}
    named = [words[key] for key in keys]
    verb = "is" if named == ["the source"] else "are"
    return f"{' and '.join(named)} {verb}"
