"""Connections to object stores, by name: `s3://` is the default one, `s3+lab://` that of `lab`.

Settings name endpoint, region and keys. The core asks for a connection when it first needs it, in
whatever process that is; so keys are in no plan, no argument and no ledger.
"""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from pravah.errors import SettingError
from pravah.settings import Settings
from pravah.stores import credentials

# What people write into a URI; settings have it in capitals.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_REGION = "us-east-1"
# The MinIO of the compose file: its name is known inside of the composition only.
_COMPOSED_HOST = "pravah_minio"
_PUBLISHED_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Connection:
    """How a store is reached; `note` is what people should know of it."""

    name: str
    endpoint: str | None
    region: str
    note: str | None = None


def describe(name: str, renewed: bool) -> str:  # noqa: ARG001, FBT001 - every call looks anew
    """Describe a connection for the core, as JSON with its keys."""
    settings = Settings()
    found = connection(name, settings)
    keys = credentials.find(settings, _prefix(name), found.region)
    return json.dumps(
        {
            "endpoint": found.endpoint,
            "region": found.region,
            "largest_copy_bytes": _largest_copy(settings),
            "credentials": {
                "access_key_id": keys.access_key_id,
                "secret_access_key": keys.secret_access_key,
                "session_token": keys.session_token,
                "expires_at_s": keys.expires_at_s,
                "origin": keys.origin,
            },
        }
    )


def _largest_copy(settings: Settings) -> int | None:
    """Give the bytes that one request copies within a store, where that is not Amazon's limit."""
    typed = settings.text("PRAVAH_S3_LARGEST_COPY_BYTES")
    if typed is not None and not typed.isdigit():
        raise SettingError(
            f"PRAVAH_S3_LARGEST_COPY_BYTES is `{typed}`, a number of bytes is expected"
        )
    return int(typed) if typed else None


def connection(name: str, settings: Settings) -> Connection:
    """Read what the settings say of a connection."""
    prefix = _prefix(name)
    typed = settings.text(f"{prefix}ENDPOINT_URL")
    if name and typed is None and settings.text(f"{prefix}ACCESS_KEY_ID") is None:
        raise SettingError(
            f"there is no connection `{name}`: {prefix}ENDPOINT_URL is not set",
            kind="no_such_connection",
            hint=f"set {prefix}ENDPOINT_URL, {prefix}ACCESS_KEY_ID and {prefix}SECRET_ACCESS_KEY",
        )
    if not name:
        typed = typed or settings.text("AWS_ENDPOINT_URL_S3") or settings.text("AWS_ENDPOINT_URL")
    region = settings.text(f"{prefix}REGION_NAME")
    region = region or settings.text("AWS_REGION") or settings.text("AWS_DEFAULT_REGION")
    if typed is None:
        return Connection(name, None, region or _REGION)
    use_ssl = (settings.text(f"{prefix}USE_SSL") or "true").lower() in ("1", "true", "yes")
    endpoint, note = reachable(typed, use_ssl=use_ssl)
    return Connection(name, endpoint, region or _REGION, note)


def reachable(typed: str, *, use_ssl: bool) -> tuple[str, str | None]:
    """Give an endpoint as requests are sent to it, and what people should know of that.

    Servers refuse a host whose name has a `_`, so it is resolved here and spoken to as IP:port.

    >>> reachable("127.0.0.1:9000", use_ssl=False)
    ('http://127.0.0.1:9000', None)
    """
    url = typed if "://" in typed else f"{'https' if use_ssl else 'http'}://{typed}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise SettingError(
            f"S3_ENDPOINT_URL is `{typed}`, scheme, host and port are expected",
            hint="as in `http://127.0.0.1:9000`; buckets belong into `s3://BUCKET/…`",
        )
    usual = 443 if parts.scheme == "https" else 80
    if "_" not in parts.hostname:
        # A usual port is not sent, so it must not be signed.
        host = parts.netloc.removesuffix(f":{usual}")
        return f"{parts.scheme}://{host}", None
    port = parts.port or usual
    try:
        found = socket.getaddrinfo(parts.hostname, port, socket.AF_INET, socket.SOCK_STREAM)
        return f"{parts.scheme}://{found[0][4][0]}:{port}", None
    except OSError as error:
        if parts.hostname != _COMPOSED_HOST:
            raise SettingError(
                f"the host `{parts.hostname}` of S3_ENDPOINT_URL can't be resolved",
                kind="store_unreachable",
                hint=str(error.strerror or error).lower(),
            ) from error
    note = f"`{_COMPOSED_HOST}` is not known here: using {_PUBLISHED_HOST}:{port}"
    return f"{parts.scheme}://{_PUBLISHED_HOST}:{port}", note


def _prefix(name: str) -> str:
    if not name:
        return "S3_"
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"a connection can't be called `{name}`",
            kind="no_such_connection",
            hint="letters and digits, as in `s3+lab://bucket/`",
        )
    return f"PRAVAH_S3_{name.upper()}_"
