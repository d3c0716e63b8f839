"""Profiles of AWS tools: roles, their sources, single sign-on; the services speak HTTP."""

import hashlib
import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores.credentials import find
from pravah.stores.metadata import Keys
from pravah.stores.signature import signed

FAR = "2099-01-01T00:00:00Z"
ROLE = "role_arn = arn:aws:iam::1:role/r"


class Services(BaseHTTPRequestHandler):
    """The token service and the portal; keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        by = self.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        self.asked.append((by, form))
        number = len(self.asked)
        self._answer(
            f"<AccessKeyId>role{number}</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
            f"<SessionToken>T</SessionToken><Expiration>{FAR}</Expiration>"
        )

    def do_GET(self) -> None:
        self.asked.append((self.headers["x-amz-sso_bearer_token"], self.path))
        keys = {"accessKeyId": "sso", "secretAccessKey": "S", "sessionToken": "T"}
        self._answer(json.dumps({"roleCredentials": keys | {"expiration": 4_070_908_800_000}}))

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Services.asked.clear()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path


def keys_of(home: Path, config: str, **values: str) -> Keys:
    (home / ".aws" / "config").write_text(config)
    nowhere = {"PRAVAH_ENV_FILE": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "p"}
    return find(Settings({**nowhere, **values}), "S3_", "eu-west-1")


def own(name: str, key: str) -> str:
    return f"[profile {name}]\naws_access_key_id = {key}\naws_secret_access_key = s\n"


def test_role_is_assumed_with_the_keys_of_its_source(home: Path, service: str) -> None:
    further = "external_id = e\nrole_session_name = n\nduration_seconds = 900"
    config = own("base", "b") + f"[profile p]\n{ROLE}\nsource_profile = base\n{further}\n"
    keys = keys_of(home, config, AWS_ENDPOINT_URL_STS=service)
    assert (keys.access_key_id, keys.session_token) == ("role1", "T")
    assert keys.expires_at_s == datetime.fromisoformat(FAR).timestamp()
    ((by, form),) = Services.asked
    assert by == "b"
    told = {name: value for name, (value,) in parse_qs(form).items()}
    assert told == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::1:role/r",
        "RoleSessionName": "n",
        "ExternalId": "e",
        "DurationSeconds": "900",
    }


def test_role_whose_source_is_a_role_is_assumed_by_that(home: Path, service: str) -> None:
    between = f"[profile q]\n{ROLE}\nsource_profile = base\n"
    config = own("base", "b") + between + f"[profile p]\n{ROLE}\nsource_profile = q\n"
    assert keys_of(home, config, AWS_ENDPOINT_URL_STS=service).access_key_id == "role2"
    assert [by for by, _ in Services.asked] == ["b", "role1"]


def test_role_whose_source_is_its_own_profile_is_assumed_with_its_keys(
    home: Path, service: str
) -> None:
    config = own("p", "b") + f"{ROLE}\nsource_profile = p\n"
    keys_of(home, config, AWS_ENDPOINT_URL_STS=service)
    assert [by for by, _ in Services.asked] == ["b"]


def test_role_is_assumed_with_keys_of_the_environment(home: Path, service: str) -> None:
    # The profile is the connection's own, as the environment's keys come before AWS_PROFILE.
    config = f"[profile p]\n{ROLE}\ncredential_source = Environment\n"
    environment = {"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "s"}
    own_profile = {"AWS_ENDPOINT_URL_STS": service, "S3_PROFILE": "p"}
    assert keys_of(home, config, **environment, **own_profile).access_key_id == "role1"
    assert [by for by, _ in Services.asked] == ["env"]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (f"[profile p]\n{ROLE}\n", "says of no keys that assume it"),
        (f"[profile p]\n{ROLE}\nsource_profile = moon\n", "its source `moon` has no keys"),
        (f"[profile p]\n{ROLE}\nsource_profile = p\n", "its source `p` has no keys"),
        (f"[profile p]\n{ROLE}\nsource_profile = p\nmfa_serial = m\n", "a second factor"),
        (
            f"[profile p]\n{ROLE}\nsource_profile = q\n[profile q]\n{ROLE}\nsource_profile = p\n",
            "in a circle: p -> q -> p",
        ),
        ("[profile p]\ncredential_process = /bin/true\n", "the profile `p` has no keys"),
    ],
)
def test_profile_that_gives_no_keys_says_why(home: Path, config: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as raised:
        keys_of(home, config)
    assert raised.value.kind == "no_credentials"


SIGN_ON = "sso_account_id = 1\nsso_role_name = r\n"
SESSION = "[sso-session s]\nsso_start_url = https://x\nsso_region = r\n"


@pytest.mark.parametrize(
    ("config", "cached_as"),
    [
        (f"[profile p]\nsso_session = s\n{SIGN_ON}{SESSION}", "s"),
        (f"[profile p]\nsso_start_url = https://x\nsso_region = r\n{SIGN_ON}", "https://x"),
    ],
)
def test_token_of_a_sign_in_is_exchanged_while_it_is_valid(
    home: Path, service: str, config: str, cached_as: str
) -> None:
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    file = cache / f"{hashlib.sha1(cached_as.encode()).hexdigest()}.json"  # noqa: S324
    file.write_text(json.dumps({"accessToken": "token", "expiresAt": FAR}))
    keys = keys_of(home, config, AWS_ENDPOINT_URL_SSO=service)
    assert (keys.access_key_id, keys.expires_at_s) == ("sso", 4_070_908_800)
    assert Services.asked == [("token", "/federation/credentials?role_name=r&account_id=1")]
    file.write_text(json.dumps({"accessToken": "token", "expiresAt": "2026-01-01T00:00:00Z"}))
    with pytest.raises(StoreError, match="needs a sign-in") as raised:
        keys_of(home, config, AWS_ENDPOINT_URL_SSO=service)
    assert raised.value.hint == "`aws sso login --profile p`"


@pytest.mark.parametrize("token", [None, "token"])
def test_signature_is_that_of_other_tools(token: str | None) -> None:
    url, form, at = "https://sts.r.amazonaws.com", b"Action=AssumeRole", datetime.now(UTC)
    ours = signed(url, form, Keys("key", "secret", token, None, ""), ("r", "sts"), at)
    asked = AWSRequest("POST", url, headers={"Content-Type": ours["content-type"]}, data=form)
    asked.context["timestamp"] = ours["x-amz-date"]
    asked.headers["X-Amz-Date"] = ours["x-amz-date"]
    if token:
        asked.headers["X-Amz-Security-Token"] = token
    auth = SigV4Auth(Credentials("key", "secret", token), "sts", "r")
    signature = auth.signature(auth.string_to_sign(asked, auth.canonical_request(asked)), asked)
    assert ours["authorization"].endswith(f"Signature={signature}")
