"""Every example in a docstring runs."""

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import pravah

# Those that do something when they are imported.
RUN_ON_IMPORT = ("__main__", "migrations")

MODULES = ["pravah"] + [
    module.name
    for module in pkgutil.walk_packages(pravah.__path__, "pravah.")
    if not any(part in module.name for part in RUN_ON_IMPORT)
]


@pytest.fixture(autouse=True)
def _two_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have examples work beside a directory `data` and with a ledger of their own."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id,x\n1,2\n3,4\n")
    (tmp_path / "data" / "b.csv").write_text("id,y\n5,\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRAVAH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PRAVAH_ENV_FILE", "")
    monkeypatch.setenv("DATABASE_URL", "")


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    assert doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_examples_of_the_python_page_run() -> None:
    page = Path(__file__).parent.parent.parent / "docs" / "python.md"
    ran = doctest.testfile(str(page), module_relative=False)
    assert ran.attempted > 10
    assert ran.failed == 0
