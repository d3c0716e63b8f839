"""Keys for an object store: those of the settings, else what AWS tools would find, in their order.

Environment, web identity (IRSA), the shared files of a profile, the container's service (ECS, Pod
Identity), the machine's (IMDSv2). What expires is asked for again by whoever uses it.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores import metadata
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
        _of_profile(settings, profile)
        if profile
        else _named(settings, _Place("AWS_", "AWS_ACCESS_KEY_ID"))
        or metadata.of_web_identity(settings, region)
        or _of_profile(settings, settings.text("AWS_PROFILE"))
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


def _of_profile(settings: Settings, profile: str | None) -> Keys | None:
    """Read the shared files; a profile that is named has to be there."""
    places = {
        "AWS_SHARED_CREDENTIALS_FILE": ("~/.aws/credentials", ""),
        "AWS_CONFIG_FILE": ("~/.aws/config", "profile "),
    }
    for variable, (usual, before) in places.items():
        path = Path(settings.text(variable) or usual).expanduser()
        file = configparser.RawConfigParser(strict=False)
        try:
            file.read(path, "utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # another tool's file: what it can't say is found elsewhere
        name = profile or "default"
        for section in (name, f"{before}{name}"):
            if file.has_option(section, "aws_secret_access_key"):
                return Keys(
                    file.get(section, "aws_access_key_id", fallback=""),
                    file.get(section, "aws_secret_access_key"),
                    file.get(section, "aws_session_token", fallback=None),
                    None,
                    f"profile `{name}` in {path}",
                )
    if profile:
        raise StoreError(
            f"the profile `{profile}` has no keys",
            kind="no_credentials",
            hint="`aws configure --profile` writes them; single sign-on and roles of profiles come "
            "with a later release",
        )
    return None
