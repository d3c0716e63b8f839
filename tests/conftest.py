"""What all tests share."""

import os

from hypothesis import HealthCheck, settings

# Tests run on whatever profile the core was built in; importing it must not warn of that.
os.environ.setdefault("PRAVAH_DEV", "1")

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("pravah", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pravah")

pytest_plugins = ["tests.object_servers", "tests.postgres"]
