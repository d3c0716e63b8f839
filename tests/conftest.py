"""What all tests share."""

import os

# Tests run on whatever profile the core was built in; importing it must not warn of that.
os.environ.setdefault("PRAVAH_DEV", "1")

pytest_plugins = ["tests.postgres"]
