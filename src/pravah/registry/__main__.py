"""Rewrites `native.json` from the core's descriptors: `python -m pravah.registry [--check]`.

The list is committed so that `--help` and `processors list` need not load the core; CI runs
`--check`, which only says whether the file is what the core would write.
"""

import json
import sys
from pathlib import Path

from pravah.engine import descriptors

NATIVE = Path(__file__).with_name("native.json")


def rendered() -> str:
    """Give the text that `native.json` should have."""
    listed = sorted(json.loads(descriptors()), key=lambda descriptor: str(descriptor["name"]))
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or with `--check` compare it."""
    current = NATIVE.read_text("utf-8") if NATIVE.exists() else ""
    if current == rendered():
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"error: {NATIVE.name} is not what the core describes\n")
        sys.stderr.write("hint: `python -m pravah.registry` rewrites it\n")
        return 1
    NATIVE.write_text(rendered(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
