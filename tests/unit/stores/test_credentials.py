"""Keys are found where AWS tools find them, in their order; the services are real ones, of HTTP."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pravah.errors import StoreError
from pravah.settings import Settings
from pravah.stores.credentials import find

KEYS = (
    '{"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", '
    '"Expiration": "2026-01-01T00:00:00Z"}'
)
ROLES = "/latest/meta-data/iam/security-credentials/"


class Services(BaseHTTPRequestHandler):
    """The token service, a container's and a machine's, on one port."""

    # How many more answers to a path are 503.
    busy: ClassVar[dict[str, int]] = {}

    def _answer(self, text: str | None) -> None:
        if self.busy.get(self.path, 0) > 0:
            self.busy[self.path] -= 1
            self.send_error(503)
            return
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def do_PUT(self) -> None:
        self._answer("TOKEN" if self.path == "/latest/api/token" else None)

    def do_GET(self) -> None:
        proven = self.headers.get("X-aws-ec2-metadata-token") == "TOKEN"
        answers = {ROLES: "role\n", ROLES + "role": KEYS} if proven else {}
        if self.headers.get("Authorization") == "word":
            answers |= {"/container": KEYS, "/empty": "{}", "/page": "<html>", "/list": "[]"}
            answers["/timeless"] = KEYS.replace("2026-01-01T00:00:00Z", "soon")
        self._answer(answers.get(self.path))

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        fields = "<AccessKeyId>W</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
        fields += "<SessionToken>T</SessionToken><Expiration>2026-01-01T00:00:00Z</Expiration>"
        self._answer(fields if "WebIdentityToken=jwt" in form else None)

    def log_message(self, *_: Any) -> None:
        pass


def settings(tmp_path: Path, **values: str) -> Settings:
    nowhere = {
        "PRAVAH_ENV_FILE": "",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return Settings({**nowhere, **values})


def test_own_settings_come_before_those_of_aws(tmp_path: Path) -> None:
    aws = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    own = {"S3_ACCESS_KEY_ID": "d", "S3_SECRET_ACCESS_KEY": "e"}
    keys = find(settings(tmp_path, **aws, **own), "S3_", "r")
    assert (keys.access_key_id, keys.session_token, keys.origin) == ("d", None, "S3_ACCESS_KEY_ID")
    keys = find(settings(tmp_path, **aws), "S3_", "r")
    assert (keys.access_key_id, keys.session_token) == ("a", "c")


def test_half_of_the_keys_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="S3_SECRET_ACCESS_KEY is not set"):
        find(settings(tmp_path, S3_ACCESS_KEY_ID="d"), "S3_", "r")


def test_profile_is_read_from_either_shared_file(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    (tmp_path / "config").write_text(
        "[profile lab]\naws_access_key_id = c\naws_secret_access_key = d\n"
    )
    assert find(settings(tmp_path), "S3_", "r").access_key_id == "a"
    assert find(settings(tmp_path, AWS_PROFILE="lab"), "S3_", "r").access_key_id == "c"
    with pytest.raises(StoreError, match="profile `moon` has no keys"):
        find(settings(tmp_path, AWS_PROFILE="moon"), "S3_", "r")


def test_services_hand_out_keys_that_expire(tmp_path: Path, service: str) -> None:
    (tmp_path / "token").write_text("jwt\n")
    web = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": "arn",
        "AWS_ENDPOINT_URL_STS": service,
    }
    container = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{service}/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "word",
    }
    machine = {
        "AWS_EC2_METADATA_DISABLED": "",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": service,
    }
    for values, key in [(web | container, "W"), (container | machine, "A"), (machine, "A")]:
        keys = find(settings(tmp_path, **values), "S3_", "r")
        assert (keys.access_key_id, keys.session_token) == (key, "T")
        assert keys.expires_at_s == 1_767_225_600
        assert "S" not in repr(keys)


@pytest.mark.parametrize("path", ["/latest/api/token", ROLES, f"{ROLES}role", "/container", "/"])
@pytest.mark.parametrize(("times", "is_given"), [(2, True), (99, False)])
def test_service_that_is_busy_is_asked_again_and_is_no_missing_one(
    tmp_path: Path, service: str, monkeypatch: pytest.MonkeyPatch, path: str, *,
    times: int, is_given: bool,
) -> None:  # fmt: skip
    (tmp_path / "token").write_text("jwt\n")
    values = {"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": service}
    if path == "/container":
        values |= {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": service + path,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "word",
        }
    elif path == "/":
        values["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(tmp_path / "token")
        values |= {"AWS_ROLE_ARN": "arn", "AWS_ENDPOINT_URL_STS": service}
    monkeypatch.setattr(Services, "busy", {path: times})
    if is_given:
        keys = find(settings(tmp_path, **values), "S3_", "r")
        assert keys.expires_at_s == 1_767_225_600
        return
    with pytest.raises(StoreError, match="gives no keys just now") as raised:
        find(settings(tmp_path, **values), "S3_", "r")
    assert raised.value.kind == "store_unreachable"


@pytest.mark.parametrize("path", ["empty", "page", "list", "timeless"])
def test_answer_without_keys_is_told(tmp_path: Path, service: str, path: str) -> None:
    container = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{service}/{path}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "word",
    }
    with pytest.raises(StoreError) as raised:
        find(settings(tmp_path, **container), "S3_", "r")
    assert (raised.value.kind, raised.value.exit_code) == ("no_credentials", 7)
    assert raised.value.hint


def test_no_keys_anywhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised:
        find(settings(tmp_path), "S3_", "r")
    assert (raised.value.kind, raised.value.exit_code) == ("no_credentials", 7)
