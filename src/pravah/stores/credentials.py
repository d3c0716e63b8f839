"""Keys for an object store: those of the settings, else what AWS tools would find, in their order.

Environment, web identity (IRSA), the shared files of a profile, the container's service (ECS, Pod
Identity), the machine's (IMDSv2). What expires is asked for again by whoever uses it.
"""

from __future__ import annotations

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores import metadata, profiles
from pravah.stores.metadata import Keys


def find(settings: Settings, prefix: str, region: str) -> Keys:
    """Find the keys of a connection whose settings begin with `prefix`."""
    profile = settings.text(f"{prefix}PROFILE")
    own = metadata.of_environment(settings, prefix)
    if own is not None:
        return own
    found = (
        profiles.find(settings, profile, region)
        if profile
        else metadata.of_environment(settings)
        or metadata.of_web_identity(settings, region)
        or profiles.find(settings, settings.text("AWS_PROFILE"), region)
        or metadata.of_container(settings)
        or metadata.of_machine(settings)
    )
    if found is None:
        raise StoreError(
            "there are no keys for the object store",
            kind="no_credentials",
            hint=f"set {prefix}ACCESS_KEY_ID and {prefix}SECRET_ACCESS_KEY, in the environment or "
            "in `.env`; else AWS_PROFILE or a role",
        )
    return found
