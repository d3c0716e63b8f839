"""Signature Version 4 of a form that is posted to a service of AWS.

By "Create a signed AWS API request" of the IAM User Guide. Requests for objects are signed in the
core.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pravah.stores.metadata import Keys

_FORM = "application/x-www-form-urlencoded; charset=utf-8"


def signed(
    url: str, form: bytes, keys: Keys, scope: tuple[str, str], at: datetime
) -> dict[str, str]:
    """Give the headers of a form that somebody posts; `scope` is the region and the service."""
    parts = urlsplit(url)
    time = at.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": _FORM, "host": parts.netloc, "x-amz-date": time}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    names = ";".join(headers)
    told = "".join(f"{name}:{value}\n" for name, value in headers.items())
    body = hashlib.sha256(form).hexdigest()
    canonical = f"POST\n{parts.path or '/'}\n\n{told}\n{names}\n{body}"
    credential = "/".join((time[:8], *scope, "aws4_request"))
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in credential.split("/"):
        key = _hmac(key, part)
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = _hmac(key, f"AWS4-HMAC-SHA256\n{time}\n{credential}\n{hashed}").hex()
    del headers["host"]  # whoever sends it says the same
    return headers | {
        "authorization": f"AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{credential}, "
        f"SignedHeaders={names}, Signature={signature}"
    }


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
