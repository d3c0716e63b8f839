"""What is remembered of outputs: what a task needs of it, and how the end of a job keeps it short.

A directory may have millions of outputs: neither asks for all that is known of it at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pravah.model.job import Job
from pravah.model.ledger import Fingerprint, FingerprintUnion, Lease, Ledger

# What is longer stays as it is: some 30,000 outputs.
_WHOLE_BYTES = 1 << 20
# Several of these make a directory worth looking at.
_SMALL_BYTES = _WHOLE_BYTES // 4
# Unions in one transaction, and bytes that they take the place of.
_UNITED_AT_ONCE = 500
_UNITED_BYTES = 8 << 20


def concerning(ledger: Ledger, job: Job, lease: Lease, manifest: bytes) -> list[Fingerprint]:
    """Give what is remembered of the outputs of a task's entries, the oldest first."""
    # Loads the core; commands that only ask about jobs get by without.
    from pravah import engine

    sink = job.plan.get("sink")
    if not sink or sink["overwrite"] != "changed" or sink["uri"] == "null:":
        return []
    plan = json.dumps(job.plan)
    entries: engine.Concerning | None = None
    found: list[Fingerprint] = []
    read_bytes = 0
    for directory, blob in ledger.fingerprints(lease, engine.manifest_directories(plan, manifest)):
        read_bytes += len(blob)
        part = blob
        # Most directories have little more than the task's own entries: not worth a look.
        if read_bytes > _WHOLE_BYTES:
            with engine.translated():
                entries = entries or engine.Concerning(plan, manifest)
                part = entries.part(blob)
        if part:
            found.append((directory, part))
    return found


def unite(ledger: Ledger, job: Job) -> None:
    """Put small fingerprints of one directory together, without what later ones know better."""
    waiting: list[FingerprintUnion] = []
    waiting_bytes = 0
    for directory in ledger.torn_directories(job.id, _SMALL_BYTES):
        for union in _unions(ledger.directory_fingerprints(job.id, directory)):
            waiting.append(union)
            waiting_bytes += sum(map(len, union[0].values()))
            if len(waiting) >= _UNITED_AT_ONCE or waiting_bytes >= _UNITED_BYTES:
                ledger.unite_fingerprints(waiting)
                waiting, waiting_bytes = [], 0
    if waiting:
        ledger.unite_fingerprints(waiting)


def _unions(latest_first: Iterable[tuple[int, bytes]]) -> Iterator[FingerprintUnion]:
    from pravah import engine

    later = engine.Later()
    rests: list[tuple[int, bytes, bytes]] = []
    read_bytes = rest_bytes = 0
    for number, blob in latest_first:
        with engine.translated():
            rest = later.rest(blob)
        if rests and (
            rest_bytes + len(rest) > _WHOLE_BYTES or read_bytes + len(blob) > _UNITED_BYTES
        ):
            yield from _united(rests)
            rests, read_bytes, rest_bytes = [], 0, 0
        rests.append((number, blob, rest))
        read_bytes += len(blob)
        rest_bytes += len(rest)
    yield from _united(rests)


def _united(latest_first: list[tuple[int, bytes, bytes]]) -> Iterator[FingerprintUnion]:
    """Unite what is left of some fingerprints, unless it is one that stays as it is."""
    from pravah import engine

    if len(latest_first) == 1 and latest_first[0][1] == latest_first[0][2]:
        return
    oldest_first = latest_first[::-1]
    parts = [rest for _, _, rest in oldest_first if rest]
    union = engine.merge_fingerprints(parts) if len(parts) > 1 else b"".join(parts)
    yield {number: blob for number, blob, _ in oldest_first}, union
