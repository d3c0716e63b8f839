"""The step that does harm: compiled into test builds of the core, and unknown to the registry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pravah import engine
from pravah.errors import PravahError
from pravah.registry import registry

STEP = "test_harm"


def allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the step known to this process; skip the test where the core was built without it."""
    try:
        engine.check_steps([{"name": STEP, "params": {}}])
    except PravahError:
        pytest.skip("the core was built without the feature `test-steps`")
    known = registry()
    harmful = replace(known.find("copy"), name=STEP)
    monkeypatch.setitem(known._by_name, STEP, harmful)
