"""What a job that makes several outputs of one file can't do, refused before it begins.

What the names of such outputs have to tell is the core's knowledge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pravah.errors import SpecError
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec, Step


def expanding_step(spec: JobSpec) -> str | None:
    """Name the step that makes several outputs of one, if there is one."""
    return next((step.name for step in spec.steps if _expands(step)), None)


def refuse(spec: JobSpec) -> None:
    """Refuse what only means something where each file has one output."""
    name = expanding_step(spec)
    if name is None:
        return
    _refuse_steps(spec, name)
    if spec.in_place:
        raise SpecError(
            f"`in_place` replaces each file by its output, and {name} makes several of one",
            kind="in_place_with_expand",
            hint="leave out `--in-place`; `--after delete` removes what was made into outputs",
        )


def _refuse_steps(spec: JobSpec, name: str) -> None:
    expands = [_expands(step) for step in spec.steps]
    behind = spec.steps[expands.index(True) + 1 :]
    if sum(expands) > 1:
        raise SpecError(
            f"{name} makes several outputs, and another step makes several of each",
            kind="expanded_twice",
            hint="make it two jobs: the second one reads the sink of the first",
        )
    for step in behind:
        if _is_reducing(step.name):
            raise SpecError(
                f"{step.name} would put together again what {name} has parted",
                kind="reduce_behind_expand",
                hint=f"put {step.name} before {name}, or make it two jobs",
            )
        if registry().find(step.name).shape == "inspect":
            raise SpecError(
                f"{step.name} tells of files, and behind {name} these are in parts",
                kind="inspect_behind_expand",
                hint=f"put it before {name}, or run it over the outputs",
            )


def _is_reducing(name: str) -> bool:
    return registry().find(name).shape == "reduce"


def _expands(step: Step) -> bool:
    return registry().expands([{"name": step.name, "params": step.params}])
