"""Keeps the status diagrams of ARCHITECTURE.md equal to the TRANSITIONS table.

Without arguments it only compares, and fails where they differ; with `--write` it rewrites the
lines between the two markers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pravah.model.status import Subject, mermaid

PAGE = Path(__file__).parent.parent / "ARCHITECTURE.md"
BEGIN = "<!-- status diagrams: written by `make docs` from TRANSITIONS -->\n"
END = "<!-- end of the status diagrams -->\n"


def main() -> int:
    """Compare or write; give the exit code."""
    page = PAGE.read_text("utf-8")
    expected = with_diagrams(page, [mermaid(subject) for subject in Subject])
    if page == expected:
        return 0
    if "--write" in sys.argv[1:]:
        PAGE.write_text(expected, "utf-8")
        return 0
    print(f"error: the diagrams in {PAGE.name} are not those of TRANSITIONS", file=sys.stderr)
    print("hint: `make docs` rewrites it", file=sys.stderr)
    return 1


def with_diagrams(page: str, diagrams: list[str]) -> str:
    """Give the page with the diagrams between its markers, which must both be there."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    drawn = "\n".join(f"```mermaid\n{diagram.strip()}\n```\n" for diagram in diagrams)
    return f"{before}{BEGIN}{drawn}{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
