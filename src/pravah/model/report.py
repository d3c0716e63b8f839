"""The report: the closing account of a round of a job, built from the books and the summaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pravah.model.bottleneck import Bottleneck, Effort, bottleneck
from pravah.model.ids import shown
from pravah.model.job import Failure, Job
from pravah.model.units import write_time

# As many as a task's summary names: more could not be exact.
SLOWEST = 10
EXAMPLES = 3

Summary = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a job: closed books, rates, failure groups, the slowest files."""

    job: Job
    failures: list[Failure]
    slowest: list[dict[str, Any]]
    durability: str | None
    bottleneck: Bottleneck
    copies: dict[str, int] | None
    weakly_fenced: bool
    hedged: int

    @classmethod
    def of(cls, job: Job, summaries: Iterable[Summary]) -> Report:
        """Build the report of a job from what its tasks tell."""
        listed = list(summaries)
        sink = job.plan.get("sink")
        narrowest = bottleneck(
            Effort.of(listed),
            elapsed_s=job.elapsed_s,
            tasks=len(listed),
            tasks_limit=job.spec.get("limits", {}).get("tasks"),
        )
        durability = sink["durability"] if sink else None
        weakly_fenced = any(summary.get("weak_fencing") for summary in listed)
        return cls(
            job,
            failures(listed),
            slowest(listed),
            durability,
            narrowest,
            _copies(job),
            weakly_fenced,
            sum(summary.get("hedged", 0) for summary in listed),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        job = self.job.to_dict()
        kept = ("name", "status", "round", "counts", "reasons", "bytes_in", "bytes_out")
        rates = ("files_per_s", "bytes_per_s", "elapsed_s", "error")
        return {
            "job": shown(self.job.id),
            **{key: job[key] for key in kept},
            "listed_bytes": self.job.books.listed_bytes,
            "started_at": write_time(self.job.started_us),
            "finished_at": write_time(self.job.finished_us),
            **{key: job[key] for key in rates},
            "bottleneck": self.bottleneck.to_dict(),
            "failures": [failure.to_dict() for failure in self.failures],
            "slowest": self.slowest,
            "durability": self.durability,
            "results": self.job.results,
            **({"copies": self.copies} if self.copies else {}),
            **({"fencing": "weak"} if self.weakly_fenced else {}),
            **({"hedged": self.hedged} if self.hedged else {}),
        } | ({"rows": job["rows"]} if "rows" in job else {})


def failures(summaries: Iterable[Summary]) -> list[Failure]:
    """Merge the failure groups of all tasks: the largest first, called F1, F2 and so on."""
    groups: dict[tuple[str, str, str], Failure] = {}
    for summary in summaries:
        for group in summary.get("failures", ()):
            key = (group["kind"], group["step"] or "", group["pattern"])
            groups[key] = _joined(groups.get(key), group)
    ordered = sorted(groups.items(), key=lambda item: (-item[1].count, item[0]))
    return [replace(group, id=f"F{n}") for n, (_, group) in enumerate(ordered, 1)]


def slowest(summaries: Iterable[Summary]) -> list[dict[str, Any]]:
    """Give the files that took longest, of all tasks."""
    files = [file for summary in summaries for file in summary.get("slowest", ())]
    return sorted(files, key=lambda file: -file["duration_s"])[:SLOWEST]


def _copies(job: Job) -> dict[str, int] | None:
    """Tell how many objects the store copied by itself, and how many passed by."""
    by_server = job.books.reasons.get("done:server_copy", 0)
    if not by_server:
        return None
    return {"server": by_server, "streamed": job.books.counts.done - by_server}


def _joined(known: Failure | None, group: Summary) -> Failure:
    if known is None:
        return Failure(
            id="",
            kind=group["kind"],
            step=group["step"],
            message=group["message"],
            count=group["count"],
            examples=tuple(group["examples"]),
            pattern=group["pattern"],
        )
    examples = (known.examples + tuple(group["examples"]))[:EXAMPLES]
    return replace(known, count=known.count + group["count"], examples=examples)
