"""Every example in a docstring runs."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import pravah

# Those that do something when they are imported.
RUN_ON_IMPORT = ("__main__", "migrations")

MODULES = ["pravah"] + [
    module.name
    for module in pkgutil.walk_packages(pravah.__path__, "pravah.")
    if not any(part in module.name for part in RUN_ON_IMPORT)
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
