"""On which hosts a job's paths mean the same (protocol, rule 4).

Workers of many hosts share a PostgreSQL ledger. A local path is that of the host where the job was
submitted, unless it lies below a root that the operator says is shared.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pravah.errors import StatusError
from pravah.model.ids import shown
from pravah.model.job import Job
from pravah.model.uri import NULL, is_object_uri, uri_path


@dataclass(frozen=True, slots=True)
class Locality:
    """This host's name, empty where the ledger has no other, and what it shares with others."""

    host: str = ""
    shared_roots: tuple[Path, ...] = ()

    def host_of(self, plan: Mapping[str, Any], place: bytes | None = None) -> str:
        """Give the host whose workers alone can do this; empty: any can.

        `place` is where the findings go, if that was said.
        """
        paths = [*_paths(plan), *([Path(os.fsdecode(place))] if place else [])]
        return "" if all(map(self._is_shared, paths)) else self.host

    def check(self, job: Job) -> None:
        """Refuse to work here on what lies on another host."""
        if job.host not in ("", self.host):
            raise StatusError(
                f"{shown(job.id)} works on files of the host `{job.host}`, this is `{self.host}`",
                kind="other_host",
                hint=f"go on with it on `{job.host}`; PRAVAH_SHARED_ROOTS names directories that "
                "all hosts share",
            )

    def _is_shared(self, path: Path) -> bool:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(os.path.realpath(root)) for root in self.shared_roots)


ONE_HOST = Locality()


def _paths(plan: Mapping[str, Any]) -> Iterator[Path]:
    uris = [root["uri"] for root in plan["roots"]]
    if plan["sink"] is not None and plan["sink"]["uri"] != NULL:
        uris.append(plan["sink"]["uri"])
    if "dataset" in plan:
        uris.append(plan["dataset"])
    if isinstance(plan["after"], dict):
        uris.append(plan["after"]["move"])
    for uri in (uri for uri in uris if not is_object_uri(uri)):
        yield Path(os.fsdecode(uri_path(uri)))
