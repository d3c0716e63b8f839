"""Keys for an object store: those of the settings, else what AWS tools would find, in their order.

Environment, web identity (IRSA), the shared files of a profile, the container's service (ECS, Pod
Identity), the machine's (IMDSv2). What expires is asked for again by whoever uses it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores import metadata, profiles
from pravah.stores.metadata import Keys


@dataclass(frozen=True, slots=True)
class _Place:
    """Where keys are looked for in the environment."""

    prefix: str
    origin: str


def find(settings: Settings, prefix: str, region: str) -> Keys:
    """Find the keys of a connection whose settings begin with `prefix`."""
    profile = settings.text(f"{prefix}PROFILE")
    own = _named(settings, _Place(prefix, f"{prefix}ACCESS_KEY_ID"))
    if own is not None:
        return own
    found = (
        profiles.find(settings, profile, region)
        if profile
        else _named(settings, _Place("AWS_", "AWS_ACCESS_KEY_ID"))
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


def _named(settings: Settings, place: _Place) -> Keys | None:
    key = settings.text(f"{place.prefix}ACCESS_KEY_ID")
    secret = settings.text(f"{place.prefix}SECRET_ACCESS_KEY")
    if key is None and secret is None:
        return None
    if key is None or secret is None:
        missing = "ACCESS_KEY_ID" if key is None else "SECRET_ACCESS_KEY"
        raise StoreError(
            f"{place.prefix}{missing} is not set, and its other half is",
            kind="no_credentials",
            hint="both are needed",
        )
    token = settings.text(f"{place.prefix}SESSION_TOKEN")
    return Keys(key, secret, token, None, place.origin)
