"""Whether an unfinished job is what is asked for again, also in what its hash leaves out.

How surely outputs are kept, what failures do and what the job may take do not make another job of
it; going on with other values than somebody has just typed would be a silent change of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pravah.errors import SpecError
from pravah.model.ids import shown

if TYPE_CHECKING:
    from pravah.model.job import Job
    from pravah.model.spec import JobSpec

# Keys of a sink, and whole sections, that the hash of a spec leaves out.
_OF_SINK = ("durability", "verify")
_SECTIONS = ("on_error", "limits")


def refuse_other_settings(job: Job, asked: JobSpec) -> None:
    """Refuse to go on with a job under other settings than somebody has said.

    What is not said stays as the job has it.
    """
    has = _settings(type(asked).parse(job.spec).to_dict())
    said = _settings(asked.model_dump(mode="json", exclude_none=True, exclude_unset=True))
    differing = [
        f"{key} is {has.get(key, 'unset')}, not {value}"
        for key, value in said.items()
        if has.get(key) != value
    ]
    if differing:
        name = shown(job.id)
        raise SpecError(
            f"{name} has the same files, steps and sink and has not ended, but other settings: "
            + "; ".join(differing),
            kind="other_settings",
            hint=f"`pravah jobs resume {name}` goes on with it as it is, `pravah jobs set {name} "
            "KEY=VALUE` changes priority, limits and on_error; `--new` starts another job",
        )


def _settings(form: dict[str, Any]) -> dict[str, Any]:
    sink = form.get("sink") or {}
    found = {f"sink.{key}": sink[key] for key in _OF_SINK if key in sink}
    for section in _SECTIONS:
        found |= {f"{section}.{key}": value for key, value in form.get(section, {}).items()}
    return found | ({"priority": form["priority"]} if "priority" in form else {})
