"""Profiles of the shared files of AWS tools: keys, roles that others' keys assume, single sign-on.

By "Configuration and credential file settings" of the AWS SDKs and Tools Reference Guide. What
needs a person (a second factor, a sign-in) is for those tools, and told of.
"""

from __future__ import annotations

import configparser
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores import metadata
from pravah.stores.metadata import Keys, Role, SignedOn

_FILES = {
    # The setting that names it, where it is else, and what stands before a profile's name.
    "AWS_CONFIG_FILE": ("~/.aws/config", "profile "),
    "AWS_SHARED_CREDENTIALS_FILE": ("~/.aws/credentials", ""),
}
_SECRET = "aws_secret_access_key"  # noqa: S105 - its name
_SIGN_ON = ("sso_account_id", "sso_role_name")


def find(settings: Settings, name: str | None, region: str) -> Keys | None:
    """Find the keys of a profile; one that is named has to be there."""
    keys = _Profiles(settings, region).keys(name or "default")
    if keys is None and name:
        raise StoreError(
            f"the profile `{name}` has no keys",
            kind="no_credentials",
            hint="`aws configure --profile` writes them, or a role: `role_arn` with "
            "`source_profile` or `credential_source`",
        )
    return keys


@dataclass(frozen=True, slots=True)
class _Profile:
    """What both files say of a profile: that with keys last."""

    name: str
    values: Mapping[str, str]
    path: Path | None

    def get(self, name: str) -> str | None:
        return self.values.get(name) or None

    def own_keys(self) -> Keys | None:
        secret = self.get(_SECRET)
        if secret is None:
            return None
        key, token = self.get("aws_access_key_id") or "", self.get("aws_session_token")
        return Keys(key, secret, token, None, f"profile `{self.name}` in {self.path}")


class _Profiles:
    def __init__(self, settings: Settings, region: str) -> None:
        self._settings = settings
        self._region = region
        self._files = [
            (path, _read(path), before)
            for variable, (usual, before) in _FILES.items()
            for path in [Path(settings.text(variable) or usual).expanduser()]
        ]

    def keys(self, name: str, above: tuple[str, ...] = ()) -> Keys | None:
        """Find the keys of a profile that is the source of those `above`."""
        profile = self._profile(name)
        if profile.get("role_arn") and name not in above:
            return self._of_role(profile, above)
        if any(profile.get(each) for each in _SIGN_ON):
            return self._of_sign_on(profile)
        return profile.own_keys()

    def _profile(self, name: str) -> _Profile:
        values: dict[str, str] = {}
        found = None
        for path, file, before in self._files:
            for section in (f"{before}{name}", name):
                if file.has_section(section):
                    values |= file[section]
                    found = path if file.has_option(section, _SECRET) or found is None else found
                    break
        return _Profile(name, values, found)

    def _of_role(self, profile: _Profile, above: tuple[str, ...]) -> Keys:
        role = Role(
            profile.get("role_arn") or "",
            profile.get("role_session_name") or "pravah",
            profile.get("external_id"),
            profile.get("duration_seconds"),
        )
        if profile.get("mfa_serial"):
            raise _refused(profile, "needs a second factor", "a job can't ask for its code")
        source = self._source(profile, above)
        region = profile.get("region") or self._region
        return metadata.of_role(self._settings, region, role, source)

    def _source(self, profile: _Profile, above: tuple[str, ...]) -> Keys:
        """Find the keys that assume a profile's role."""
        name, kind = profile.get("source_profile"), profile.get("credential_source")
        if name is not None:
            if name in above:
                circle = " -> ".join((*above, profile.name, name))
                raise _refused(
                    profile,
                    f"has sources that lead in a circle: {circle}",
                    "the first `source_profile` is one with keys of its own",
                )
            keys = self.keys(name, (*above, profile.name))
        elif kind in _SERVICES:
            keys = _SERVICES[kind](self._settings)
        else:
            raise _refused(
                profile,
                "has a role and says of no keys that assume it",
                "`source_profile`, or `credential_source`: " + ", ".join(_SERVICES),
            )
        if keys is None:
            raise _refused(
                profile,
                f"has a role, and its source `{name or kind}` has no keys",
                f"`aws configure --profile {name}` writes them"
                if name
                else "the source has to be there where the job runs",
            )
        return keys

    def _of_sign_on(self, profile: _Profile) -> Keys:
        """Exchange the token that `aws sso login` has left."""
        session = profile.get("sso_session")
        section = self._section(f"sso-session {session}") if session else profile.values
        url, region = section.get("sso_start_url", ""), section.get("sso_region", "")
        # By the name of its session the token is found; before there were any, by the URL.
        mark = hashlib.sha1((session or url).encode()).hexdigest()  # noqa: S324 - a file's name
        path = Path(f"~/.aws/sso/cache/{mark}.json").expanduser()
        token = _token(path)
        if token is None or not region:
            raise _refused(
                profile,
                f"needs a sign-in: {path} holds no token that is valid",
                f"`aws sso login --profile {profile.name}`",
            )
        account, role = (profile.get(each) or "" for each in _SIGN_ON)
        return metadata.of_sign_on(self._settings, SignedOn(token, region, account, role))

    def _section(self, name: str) -> Mapping[str, str]:
        found = (file[name] for _, file, _ in self._files if file.has_section(name))
        return next(found, {})


def _read(path: Path) -> configparser.RawConfigParser:
    file = configparser.RawConfigParser(strict=False)
    try:
        file.read(path, "utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        # Another tool's file: what it can't say is found elsewhere.
        return configparser.RawConfigParser()
    return file


def _token(path: Path) -> str | None:
    """Read a token that has not ended yet."""
    try:
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        ends = datetime.fromisoformat(str(told["expiresAt"]).replace("UTC", "+00:00"))
        return str(told["accessToken"]) if ends > datetime.now(UTC) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refused(profile: _Profile, why: str, hint: str) -> StoreError:
    return StoreError(f"the profile `{profile.name}` {why}", kind="no_credentials", hint=hint)


_SERVICES = {
    "Environment": metadata.of_environment,
    "EcsContainer": metadata.of_container,
    "Ec2InstanceMetadata": metadata.of_machine,
}
