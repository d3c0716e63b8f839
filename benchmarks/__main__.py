"""`python -m benchmarks [--row NAME] [--scale small|full]`: measures, and writes the page."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks import report, results
from benchmarks.contest import CommandError
from benchmarks.lab import PROJECT, Lab, Scale
from benchmarks.rows import ROWS
from pravah.engine import build_profile

PAGE = PROJECT / "docs" / "benchmarks.md"


def main() -> int:
    """Run the chosen rows; give the exit code."""
    arguments = _arguments()
    if build_profile != "release":
        print("error: the core is not a release build", file=sys.stderr)
        print("hint: `make bench` builds one; or run `make build-rust` first", file=sys.stderr)
        return 2
    cache = Path(os.environ.get("PRAVAH_BENCH_DIR", PROJECT / ".cache" / "bench")).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    lab = Lab(Scale(arguments.scale), cache)
    chosen = list(ROWS) if arguments.row == "all" else [arguments.row]
    for name in chosen:
        try:
            contests = ROWS[name](lab)
        except CommandError as failure:
            print(f"error: row {name}: {failure}", file=sys.stderr)
            return 1
        results.keep(lab, name, contests)
        print(report.targets_text(contests), flush=True)
    report.write(PAGE, lab, results.kept(lab, ROWS))
    print(f"written: {PAGE.relative_to(PROJECT)}", file=sys.stderr)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--row", choices=["all", *ROWS], default="all")
    parser.add_argument("--scale", choices=[scale.value for scale in Scale], default="small")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
