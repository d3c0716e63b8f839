"""`pravah demo`: run, kill and resume a job over a made data set.

- `dataset`: makes the files
- `drill`: starts, kills and resumes the job as a user would, and compares what it left behind

The demo has a data directory of its own and ignores `.env`: it touches nobody's ledger.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from pravah.cli.console import Console
from pravah.cli.figures import count, counted, duration, size

if TYPE_CHECKING:
    from pravah.cli.demo.drill import Drill

# Enough for several windows, so that there is a middle to be killed in.
FEWEST_FILES = 2_000
USUAL_FILES = 20_000


def demo(
    console: Console,
    *,
    files: Annotated[int, Option(min=FEWEST_FILES, help="How many files to make.")] = USUAL_FILES,
    keep: Annotated[
        bool, Option("--keep", help="Leave data, outputs and ledger for a look.")
    ] = False,
) -> int:
    """Run, kill and resume a job over a made data set."""
    root = Path(tempfile.mkdtemp(prefix="pravah-demo-"))
    try:
        return _demo(console, root, files)
    finally:
        if keep:
            console.say(f"kept {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


def _demo(console: Console, root: Path, files: int) -> int:
    from pravah.cli.demo.dataset import make
    from pravah.cli.demo.drill import Drill

    started_s = time.monotonic()
    made = make(root / "data", files)
    took = duration(time.monotonic() - started_s)
    console.say(
        f"made {counted(made.files, 'file')}, {size(made.size_bytes)}, in {took}: {root / 'data'}"
    )
    drill = Drill(root, made, console)
    try:
        _show(console, drill)
    finally:
        drill.close()
    return 0


def _show(console: Console, drill: "Drill") -> None:
    killed_at = drill.run_and_kill()
    console.say(f"\nkilled the job's processes with SIGKILL at {killed_at}\n")
    drill.resume()
    compared = drill.compare()
    console.say(
        f"\ncompared {count(compared)} outputs with their sources by Python's gzip: all equal"
    )
    console.say("no temporary file is left\n")
    drill.print_report()
