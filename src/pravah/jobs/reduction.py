"""What a job that makes few outputs of many files can't do, refused before it begins.

What the names of such outputs may tell is the core's knowledge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pravah.errors import SpecError
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec


def reducing_step(spec: JobSpec) -> str | None:
    """Name the step that makes few outputs of many files, if there is one."""
    return next((step.name for step in spec.steps if _shape(step.name) == "reduce"), None)


def refuse(spec: JobSpec) -> None:
    """Refuse what only means something where each file has an output of its own."""
    name = reducing_step(spec)
    if name is None:
        return
    _refuse_steps(spec, name)
    if spec.in_place:
        raise SpecError(
            f"`in_place` replaces each file by its output, and {name} makes one of many",
            kind="in_place_with_reduce",
            hint="leave out `--in-place`, and name a sink after `--to`",
        )
    kept = [what for what in (spec.sink.preserve if spec.sink else ()) if what != "mtime"]
    if kept:
        raise SpecError(
            f"`preserve: {kept[0]}` needs one source for each output, and {name} has many",
            kind="preserve_with_reduce",
            hint="leave it out; `mtime` gives an output the time of its newest file",
        )
    if spec.sink is not None and spec.sink.on_collision == "keep_ext":
        raise SpecError(
            f"`on_collision: keep_ext` needs one source for each output, and {name} has many",
            kind="keep_ext_with_reduce",
            hint="leave out `--on-collision`",
        )


def _refuse_steps(spec: JobSpec, name: str) -> None:
    shapes = [_shape(step.name) for step in spec.steps]
    at = shapes.index("reduce")
    if shapes.count("reduce") > 1:
        raise SpecError(
            f"{name} comes twice, and a job puts its files together once",
            kind="reduced_twice",
            hint="make it two jobs: the second one reads the sink of the first",
        )
    if "inspect" in shapes[at:]:
        inspecting = spec.steps[shapes.index("inspect", at)].name
        raise SpecError(
            f"{inspecting} tells of files, and behind {name} these are put together",
            kind="inspect_behind_reduce",
            hint=f"put it before {name}, or run it over the outputs",
        )


def _shape(name: str) -> str:
    return registry().find(name).shape
