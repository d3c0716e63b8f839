"""`pravah diff` over two trees whose differences are known."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli


@pytest.fixture
def trees(cli: Cli) -> tuple[Path, Path]:
    """Two equal trees, `a` and `b`."""
    a, b = cli.directory / "a", cli.directory / "b"
    (a / "deep" / "er").mkdir(parents=True)
    (a / "deep" / "x.csv").write_bytes(b"x" * 3_000_000)
    (a / "deep" / "er" / "y").write_bytes(b"y")
    (a / "deep.txt").write_bytes(b"t")
    (a / "link").symlink_to("deep/x.csv")
    shutil.copytree(a, b, symlinks=True)
    return a, b


@pytest.mark.parametrize("by", ["size", "checksum", "content"])
def test_diff_of_equal_trees_prints_nothing_and_ends_with_0(
    cli: Cli, trees: tuple[Path, Path], by: str
) -> None:
    os.mkfifo(trees[0] / "pipe")
    os.mkfifo(trees[1] / "pipe")
    ran = cli("diff", *trees, "--by", by)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "5 same\n"


def test_diff_takes_local_uris(cli: Cli, trees: tuple[Path, Path]) -> None:
    ran = cli("diff", f"file://{trees[0]}/", trees[1])
    assert (ran.code, ran.out) == (0, "")


@pytest.mark.usefixtures("trees")
def test_diff_of_a_link_and_two_dots_compares_what_it_leads_to(cli: Cli) -> None:
    (cli.directory / "alias").symlink_to("b/deep/er")
    assert cli("diff", "a/deep", "alias/..").code == 0
    assert cli("diff", "a", "alias/..").code == 1


def test_diff_tells_in_order_what_differs_and_how(cli: Cli, trees: tuple[Path, Path]) -> None:
    a, b = trees
    (a / "only").mkdir()
    (a / "only" / "below").touch()
    (b / "a\tb\n").touch()
    (b / "deep" / "x.csv").write_bytes(b"x")
    (b / "link").unlink()
    (b / "link").symlink_to("deep.txt")
    (b / "deep" / "er" / "y").unlink()
    (b / "deep" / "er" / "y").mkdir()
    ran = cli("diff", "a", "b")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "+\ta\\tb\\n",
        "!\tdeep/er/y\tkind\tfile\tdirectory",
        "!\tdeep/x.csv\tsize\t3000000\t1",
        "!\tlink\ttarget\tdeep/x.csv\tdeep.txt",
        "-\tonly/",
    ]
    assert ran.err == "1 same, 3 differ, 1 only in A, 1 only in B\n"


def test_diff_by_size_does_not_see_what_by_content_does(cli: Cli, trees: tuple[Path, Path]) -> None:
    changed = bytearray(b"x" * 3_000_000)
    changed[2_500_000] = 0
    (trees[1] / "deep" / "x.csv").write_bytes(changed)
    assert cli("diff", *trees).code == 0
    by_content = cli("diff", *trees, "--by", "content")
    assert (by_content.code, by_content.out) == (1, "!\tdeep/x.csv\tcontent\t2500000\n")
    (found, counts) = cli("diff", *trees, "--by", "checksum", "--json").objects()
    assert (found["path"], found["difference"]) == ("deep/x.csv", "checksum")
    assert len(found["a"]) == len(found["b"]) == 64
    assert counts == {"same": 3, "only_a": 0, "only_b": 0, "differing": 1, "failed": 0}


def test_diff_of_many_files_tells_them_in_order_of_their_paths(
    cli: Cli, trees: tuple[Path, Path]
) -> None:
    for number in range(3_000):
        (trees[0] / f"f{number:04}").write_bytes(b"a")
        (trees[1] / f"f{number:04}").write_bytes(b"b" if number % 3 == 0 else b"a")
    lines = cli("diff", *trees, "--by", "checksum").out.splitlines()
    assert [line.split("\t")[1] for line in lines] == [f"f{n:04}" for n in range(0, 3_000, 3)]


def test_diff_takes_the_filters_of_a_scan(cli: Cli, trees: tuple[Path, Path]) -> None:
    (trees[0] / "deep" / "new.tmp").touch()
    (trees[0] / "deep" / "new.csv").touch()
    assert cli("diff", *trees, "--exclude", "*.tmp").out == "-\tdeep/new.csv\n"
    assert cli("diff", *trees, "--include", "*.tmp").out == "-\tdeep/new.tmp\n"


def test_diff_leaves_a_file_out_by_its_size_only_where_both_sides_do(
    cli: Cli, trees: tuple[Path, Path]
) -> None:
    a, b = trees
    (b / "deep" / "x.csv").write_bytes(b"x")
    (b / "small").touch()
    (b / "large").write_bytes(b"l" * 2_000)
    ran = cli("diff", a, b, "--min-size", "1kB")
    assert ran.out.splitlines() == ["!\tdeep/x.csv\tsize\t3000000\t1", "+\tlarge"]


def test_diff_tells_a_directory_of_one_side_only_where_something_in_it_counts(
    cli: Cli, trees: tuple[Path, Path]
) -> None:
    for name in ("empty", "other/deep", "some/deep"):
        (trees[0] / name).mkdir(parents=True)
    (trees[0] / "other" / "deep" / "a.txt").touch()
    (trees[0] / "some" / "deep" / "a.csv").touch()
    assert cli("diff", *trees, "--include", "*.csv").out == "-\tsome/\n"
    assert cli("diff", *trees, "--exclude", "*.csv").out == "-\tempty/\n-\tother/\n-\tsome/\n"


def test_diff_of_names_that_are_not_utf8_gives_their_bytes(
    cli: Cli, trees: tuple[Path, Path]
) -> None:
    with open(os.path.join(os.fsencode(trees[0]), b"caf\xe9"), "wb"):
        pass
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.fspath(trees[0] / "socket"))
    first, second, _ = cli("diff", *trees, "--json").objects()
    assert (first["path_b64"], first["a"]) == ("Y2Fm6Q==", "file")
    assert (second["path"], second["a"], second["b"]) == ("socket", "socket", None)


def test_diff_of_what_cannot_be_read_is_a_failure_with_its_errno(
    cli: Cli, trees: tuple[Path, Path]
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (trees[1] / "deep").chmod(0)
    (trees[0] / "deep.txt").chmod(0)
    try:
        ran = cli("diff", *trees, "--by", "content")
    finally:
        (trees[1] / "deep").chmod(0o755)
    assert ran.code == 1
    denied = "permission denied (errno 13)"
    assert ran.out.splitlines() == [
        f"?\tdeep\tpermission_denied\tcan't list the directory: {denied}",
        f"?\tdeep.txt\tpermission_denied\tcan't open the source: {denied}",
    ]


def test_diff_of_what_is_no_directory_is_refused(cli: Cli, trees: tuple[Path, Path]) -> None:
    assert cli("diff", "a", "nowhere").code == 3
    ran = cli("diff", "a", "b/deep.txt")
    assert ran.code == 2
    assert "is no directory" in ran.err
    assert trees[0].exists()
