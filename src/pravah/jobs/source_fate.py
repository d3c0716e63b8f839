"""What becomes of the sources: replaced by their outputs, removed, moved away; or why not.

Refused is what would lose data: sources that go where nothing stands for them, or where their
outputs may not be on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pravah.errors import SpecError
from pravah.jobs.object_places import bucket_of_all
from pravah.model.uri import NULL, is_object_uri, planned_uri
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec

# Outputs go where their sources are: names below the root of the file system, or of a bucket.
_EVERYWHERE = "file:///"


def sink_in_place(spec: JobSpec) -> dict[str, Any]:
    """Plan the sink of a job that replaces its sources: all but their content stays."""
    if spec.sink is not None:
        raise SpecError(
            "`in_place` replaces the sources, and a sink is named, too",
            kind="in_place_with_sink",
            hint="leave out either `--in-place` or `--to`",
        )
    if spec.source.after != "keep":
        raise SpecError(
            "`in_place` leaves no source for `source.after` to deal with",
            kind="in_place_with_after",
            hint="leave out either `--in-place` or `--after`",
        )
    if not writing_steps(spec):
        raise SpecError(
            f"`in_place`, and {spec.steps[0].name} makes no outputs",
            kind="nothing_to_replace",
            hint="add a step that makes outputs, or leave out `--in-place`",
        )
    of_objects = any(map(is_object_uri, spec.source.uri))
    return {
        "uri": bucket_of_all(spec.source.uri) if of_objects else _EVERYWHERE,
        "only": None,
        "overwrite": "changed",
        "durability": "batch",
        "verify": "size",
        "preserve": ["mtime", "metadata", "tags"] if of_objects else ["mtime", "mode", "owner"],
    }


def after(spec: JobSpec) -> str | dict[str, str]:
    """Plan what becomes of a source once its output is acknowledged."""
    wanted = spec.source.after
    if wanted == "keep":
        return "keep"
    if spec.sink is None or spec.sink.uri == NULL:
        raise SpecError(
            "`source.after` needs a sink: nothing would stand for the sources",
            kind="after_without_output",
            hint="name a directory after `--to`, or leave out `--after`",
        )
    if not writing_steps(spec):
        raise SpecError(
            f"`source.after` needs outputs, and {spec.steps[0].name} makes none",
            kind="after_without_output",
            hint="add a step that makes outputs, such as `copy`, or leave out `--after`",
        )
    if spec.sink.durability == "none":
        raise SpecError(
            "`source.after` needs outputs that are on disk, and `durability` is `none`",
            kind="after_without_durability",
            hint="leave out `--durability none`, or `--after`",
        )
    if isinstance(wanted, str):
        return wanted
    return {"move": planned_uri(wanted.move) if is_object_uri(wanted.move) else wanted.move}


def follow_symlinks(spec: JobSpec) -> bool:
    """Tell whether links are followed; refused where the files they lead to would be lost."""
    if not spec.source.follow_symlinks:
        return False
    if spec.in_place or spec.source.after != "keep":
        key = "`in_place`" if spec.in_place else "`source.after`"
        raise SpecError(
            f"`follow_symlinks` and {key}: a file may be reached by several links, or lie outside "
            "of the source",
            kind="links_followed",
            hint="leave out one of the two",
        )
    return True


def refuse_links(spec: JobSpec) -> None:
    """Refuse links to what gets another name: they would lead nowhere."""
    changing = [step.name for step in spec.steps if step.name != "copy"]
    if spec.sink is not None and "links" in spec.sink.preserve and changing:
        raise SpecError(
            f"`preserve: links` keeps links to copies, and {changing[0]} makes something else",
            kind="links_need_copy",
            hint="leave out `links`, or run links and files as two jobs",
        )


def writing_steps(spec: JobSpec) -> list[str]:
    """Name the steps that make outputs; inspect steps alone publish nothing."""
    known = registry()
    return [step.name for step in spec.steps if known.find(step.name).shape != "inspect"]
