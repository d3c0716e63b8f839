"""What the figures were measured on: hardware, kernel, file system, versions of the programs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

VERSIONS = {
    "bfs": ["bfs", "--version"],
    "GNU find": ["find", "--version"],
    "fd": ["fdfind", "--version"],
    "ripgrep": ["rg", "--version"],
    "zstd": ["zstd", "--version"],
    "gzip": ["gzip", "--version"],
    "pigz": ["pigz", "--version"],
    "b3sum": ["b3sum", "--version"],
    "coreutils (cp, cat)": ["cp", "--version"],
    "rclone": ["rclone", "version"],
    "rustc": ["rustc", "--version"],
}


def description(data: Path) -> list[tuple[str, str]]:
    """Give what a reader needs to judge the figures, as (what, value)."""
    return [
        ("processor", f"{len(os.sched_getaffinity(0))} × {_processor()}"),
        ("memory", f"{_memory_gib():.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("file system", _file_system(data)),
        ("Python", platform.python_version()),
        ("Pravah", importlib.metadata.version("pravah")),
        *(
            (name, version)
            for name, command in VERSIONS.items()
            if (version := _first_line(command))
        ),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _file_system(path: Path) -> str:
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(path)]
    return _first_line(command) or "unknown"


def _first_line(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (ended.stdout or ended.stderr).strip().splitlines()
    return lines[0].strip(" *") if lines else ""
