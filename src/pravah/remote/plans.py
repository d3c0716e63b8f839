"""A plan's wire form read back: what a server's job would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pravah.jobs.preview import Preview, Sample
from pravah.model.spec import JobSpec


def read_preview(form: Mapping[str, Any]) -> Preview:
    """Read a plan."""
    sample = form["sample"]
    names = ("tried", "files", "bytes_in", "bytes_out", "duration_s")
    return Preview(
        spec=JobSpec.parse(form["spec"]),
        entries=form["entries"],
        size_bytes=form["bytes"],
        filtered=form["filtered"],
        listed_in_s=form["listed_in_s"],
        firsts=[(first["source"], first["output"]) for first in form["first"]],
        unreadable=form["unreadable"],
        failed=form["failed"],
        problems=form["problems"],
        sample=None if sample is None else Sample(**{name: sample[name] for name in names}),
        free_bytes=form["free_bytes"],
        publishes=form["publishes"],
        output_count=form["output_count"],
    )
