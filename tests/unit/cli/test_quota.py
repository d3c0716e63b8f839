"""What control groups leave to a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from pravah.cli import quota


def group(root: Path, name: str, **files: str) -> None:
    place = root / name
    place.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (place / file.replace("__", ".")).write_text(content)


def test_quota_of_a_group_above_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/slice/job\n")
    group(tmp_path, "slice", cpu__max="50000 100000\n", memory__max="536870912\n")
    group(tmp_path, "slice/job", cpu__max="max 100000\n", memory__max="max\n")
    assert quota.cpus(tmp_path, own) == pytest.approx(0.5)
    assert quota.memory_bytes(tmp_path, own) == 512 << 20


def test_quota_of_version_1_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/job\n7:memory:/job\n")
    group(tmp_path, "cpu/job", cpu__cfs_quota_us="25000", cpu__cfs_period_us="100000")
    group(tmp_path, "memory/job", memory__limit_in_bytes="1048576")
    assert quota.cpus(tmp_path, own) == pytest.approx(0.25)
    assert quota.memory_bytes(tmp_path, own) == 1 << 20


def test_machine_without_groups_is_whole(tmp_path: Path) -> None:
    own = tmp_path / "none"
    assert quota.cpus(tmp_path, own) >= 1
    assert quota.memory_bytes(tmp_path, own) > 1 << 20
