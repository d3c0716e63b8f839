"""The token service beside the store: keys of a role, for whoever may assume it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from tests.s3_double.documents import Element, document
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.store import Store


def assume_role(request: Request, store: Store) -> Response:
    """Give keys that the store knows from now on, each time others."""
    form = dict(parse_qsl(request.body.decode()))
    if form.get("Action") != "AssumeRole" or not form.get("RoleSessionName"):
        raise S3Error(400, "ValidationError")
    lasts_s = store.roles_last_s.pop(0) if len(store.roles_last_s) > 1 else store.roles_last_s[0]
    key = f"{form['RoleArn'].rpartition('/')[2]}-{store.next_id()}"
    store.credentials[key] = f"secret of {key}"
    given: list[Element] = [
        ("AccessKeyId", key),
        ("SecretAccessKey", store.credentials[key]),
        ("SessionToken", f"token of {key}"),
        ("Expiration", datetime.fromtimestamp(time.time() + lasts_s, UTC).isoformat()),
    ]
    return Response(body=document("AssumeRoleResponse", [("Credentials", given)]))
