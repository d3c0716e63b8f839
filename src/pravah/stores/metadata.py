"""Who hands out keys: services that exchange tokens or other keys, a container's, a machine's own.

They are asked over HTTP on the spot, with short timeouts: where there is no such service, a laptop
must not wait for it.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores.signature import signed

_SERVICE_S = 5.0
# Elsewhere nobody has the address, and nobody answers.
_MACHINE_S = 1.0
# Between tries: such services are busy where many containers start at once.
_PAUSES_S = (0.2, 0.8)
_MACHINE = "http://169.254.169.254"
_CONTAINER = "http://169.254.170.2"
_ROLES = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who sends requests, until when, and where that was found."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires_at_s: float | None
    origin: str

    def __repr__(self) -> str:
        """Tell who, and nothing that proves it."""
        return f"Keys({self.access_key_id}, {self.origin})"


@dataclass(frozen=True, slots=True)
class Role:
    """A role, and how it is assumed."""

    arn: str
    session_name: str
    external_id: str | None
    duration_s: str | None


@dataclass(frozen=True, slots=True)
class SignedOn:
    """Somebody who has signed on, and the role that keys are asked for."""

    token: str
    region: str
    account: str
    role: str


def of_environment(settings: Settings, prefix: str = "AWS_") -> Keys | None:
    """Find the keys of settings that begin so: of a connection, or those that AWS tools have."""
    key = settings.text(f"{prefix}ACCESS_KEY_ID")
    secret = settings.text(f"{prefix}SECRET_ACCESS_KEY")
    if key is None and secret is None:
        return None
    if key is None or secret is None:
        missing = "ACCESS_KEY_ID" if key is None else "SECRET_ACCESS_KEY"
        raise StoreError(
            f"{prefix}{missing} is not set, and its other half is",
            kind="no_credentials",
            hint="both are needed",
        )
    token = settings.text(f"{prefix}SESSION_TOKEN")
    return Keys(key, secret, token, None, f"{prefix}ACCESS_KEY_ID")


def of_web_identity(settings: Settings, region: str) -> Keys | None:
    """Exchange the token that a Kubernetes service account has for keys of its role (IRSA)."""
    path, role = settings.text("AWS_WEB_IDENTITY_TOKEN_FILE"), settings.text("AWS_ROLE_ARN")
    if path is None or role is None:
        return None
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": settings.text("AWS_ROLE_SESSION_NAME") or "pravah",
        "WebIdentityToken": _file(path),
    }
    url = _token_service(settings, region)
    asked = urllib.request.Request(url, urlencode(form).encode())  # noqa: S310 - the operator's URL
    return _keys_of_role(asked, f"web identity, {role}")


def of_role(settings: Settings, region: str, role: Role, source: Keys) -> Keys:
    """Have the token service exchange keys for those of a role that they may assume."""
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": role.arn,
        "RoleSessionName": role.session_name,
        "ExternalId": role.external_id,
        "DurationSeconds": role.duration_s,
    }
    body = urlencode({name: value for name, value in form.items() if value}).encode()
    url = _token_service(settings, region)
    headers = signed(url, body, source, (region, "sts"), datetime.now(UTC))
    asked = urllib.request.Request(url, body, headers)  # noqa: S310 - the operator's URL
    return _keys_of_role(asked, f"role {role.arn}, by {source.origin}")


def of_sign_on(settings: Settings, signed_on: SignedOn) -> Keys:
    """Have the portal of single sign-on give keys for a token (GetRoleCredentials)."""
    base = settings.text("AWS_ENDPOINT_URL_SSO")
    base = base or f"https://portal.sso.{signed_on.region}.amazonaws.com"
    query = urlencode({"role_name": signed_on.role, "account_id": signed_on.account})
    url, proof = (
        f"{base}/federation/credentials?{query}",
        {"x-amz-sso_bearer_token": signed_on.token},
    )
    asked = urllib.request.Request(url, headers=proof)  # noqa: S310 - the operator's URL
    answer = _answer(asked, _SERVICE_S, "the portal of single sign-on")
    origin = f"single sign-on, {signed_on.role} of {signed_on.account}"
    try:
        told = json.loads(answer)["roleCredentials"]
        ends_s = float(told["expiration"]) / 1_000
        key, secret, token = (told[n] for n in ("accessKeyId", "secretAccessKey", "sessionToken"))
    except (ValueError, KeyError, TypeError):
        raise _without_keys(origin) from None
    return Keys(key, secret, token, ends_s, origin)


def _token_service(settings: Settings, region: str) -> str:
    return settings.text("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.amazonaws.com"


def _keys_of_role(asked: urllib.request.Request, origin: str) -> Keys:
    answer = _answer(asked, _SERVICE_S, "the token service")
    fields = dict(re.findall(r"<(\w+)>([^<]+)</\1>", answer))
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    return _keys({name: fields.get(name, "") for name in names}, origin)


def of_container(settings: Settings) -> Keys | None:
    """Ask the service of a container (ECS, EKS Pod Identity)."""
    relative = settings.text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = _CONTAINER + relative if relative else settings.text("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if url is None:
        return None
    token = settings.text("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    if path := settings.text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = _file(path)
    headers = {"Authorization": token} if token else {}
    asked = urllib.request.Request(url, headers=headers)  # noqa: S310 - the operator's URL
    answer = _answer(asked, _SERVICE_S, "the container's credentials service")
    return _keys_of_json(answer, "the container's service")


def of_machine(settings: Settings) -> Keys | None:
    """Ask the machine's own service (IMDSv2); None where there is none."""
    if (settings.text("AWS_EC2_METADATA_DISABLED") or "").lower() == "true":
        return None
    base = settings.text("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _MACHINE
    token = None
    try:
        wish = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
        token = _read(f"{base}/latest/api/token", wish, method="PUT")
        proof = {"X-aws-ec2-metadata-token": token}
        role = _read(base + _ROLES, proof).split("\n", 1)[0]
        answer = _read(base + _ROLES + role, proof)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Who has given a token is there, and has no role to give, or is busy.
        is_there = token is not None or isinstance(error, urllib.error.HTTPError)
        if is_there and not _is_refusal(error):
            raise _away("the machine's service", error) from error
        return None
    return _keys_of_json(answer, f"the machine's role `{role}`")


def _read(url: str, headers: dict[str, str], method: str = "GET") -> str:
    asked = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - as above
    return _asked(asked, _MACHINE_S)


def _answer(asked: urllib.request.Request, timeout_s: float, service: str) -> str:
    try:
        return _asked(asked, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError) and _is_refusal(error):
            raise StoreError(
                f"{service} refuses to give keys: {error.code} {str(error.reason).lower()}",
                kind="no_credentials",
            ) from error
        raise _away(service, error) from error


def _asked(asked: urllib.request.Request, timeout_s: float) -> str:
    """Ask, and again where that may help: a service that is busy for a moment ends no job."""
    for pause_s in (*_PAUSES_S, None):
        try:
            with urllib.request.urlopen(asked, timeout=timeout_s) as answer:  # noqa: S310
                return str(answer.read().decode())
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the line
            if pause_s is None or not _may_pass(error):
                raise
        time.sleep(pause_s)
    raise AssertionError("the last try ends it")


def _is_refusal(error: Exception) -> bool:
    """Tell whether a service has answered, and would again."""
    return (
        isinstance(error, urllib.error.HTTPError)
        and error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR
        and error.code != http.HTTPStatus.TOO_MANY_REQUESTS
    )


def _may_pass(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return not _is_refusal(error)
    # Where nobody is, nobody will be: a laptop refuses at once, or has no way there.
    passing = (TimeoutError, ConnectionResetError, http.client.HTTPException)
    return isinstance(getattr(error, "reason", error), passing)


def _away(service: str, error: Exception) -> StoreError:
    return StoreError(
        f"{service} gives no keys just now: {str(error).lower()}",
        kind="store_unreachable",
        hint="it was asked three times; the job can be resumed when it answers",
    )


def _keys_of_json(answer: str, origin: str) -> Keys:
    try:
        fields = json.loads(answer)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise _without_keys(origin)
    return _keys({**fields, "SessionToken": fields.get("Token", "")}, origin)


def _keys(fields: dict[str, str], origin: str) -> Keys:
    key, secret, end = (
        fields.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Expiration")
    )
    if not key or not secret:
        raise _without_keys(origin)
    try:
        ends_s = datetime.fromisoformat(end).timestamp() if end else None
    except ValueError:
        raise _without_keys(origin) from None
    return Keys(key, secret, fields.get("SessionToken") or None, ends_s, origin)


def _without_keys(origin: str) -> StoreError:
    # What was answered may hold a secret.
    return StoreError(
        f"the answer of {origin} holds no keys",
        kind="no_credentials",
        hint="ask it by hand, as with curl: it has to name `AccessKeyId` and `SecretAccessKey`",
    )


def _file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise StoreError(
            f"can't read the token {path}: {str(error.strerror).lower()}", kind="no_credentials"
        ) from error
