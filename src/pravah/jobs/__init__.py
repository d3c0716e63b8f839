"""What is done with jobs: planned, worked on, closed, retried, told about.

- `service`: what command line and API call
- `planner`: a spec becomes a plan; sources and sink are looked at
- `supervisor`: works on jobs; `attempt`: one try of a task; `runner_process`: the other process
- `closing`: the end of a job; `dataset`: what its inspect steps found, and `dataset_place`: where
- `preview`: what a job would do
- `observer`: how far a job is, for whoever shows it

Nothing here knows which database holds the ledger, and nothing prints.

To users of the library `pravah.jobs` is what they do with jobs: the functions of
`pravah.library.jobs`, which are loaded when somebody asks for one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pravah.library.jobs import cancel, create, delete, get, list, pause, resume, retry, wait  # noqa: A004

__all__ = ["cancel", "create", "delete", "get", "list", "pause", "resume", "retry", "wait"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `pravah.jobs` has no attribute `{name}`")
    from pravah.library import jobs

    return getattr(jobs, name)


def __dir__() -> Sequence[str]:
    return sorted({*globals(), *__all__})
