"""Settings become endpoints, under every way to write them."""

import json
import socket

import pytest

from pravah.errors import SettingError
from pravah.settings import Settings
from pravah.stores import connections
from pravah.stores.connections import connection, reachable


def settings(**values: str) -> Settings:
    return Settings({"PRAVAH_ENV_FILE": "", **values})


def test_scheme_of_the_endpoint_beats_the_setting() -> None:
    for typed, use_ssl, expected in [
        ("http://h:9000", True, "http://h:9000"),
        ("https://h", False, "https://h"),
        ("h:9000", True, "https://h:9000"),
        ("h:9000/", False, "http://h:9000"),
        ("https://h:443", True, "https://h"),
    ]:
        assert reachable(typed, use_ssl=use_ssl) == (expected, None)


def test_composed_host_that_is_not_known_is_this_one_and_told() -> None:
    endpoint, note = reachable("http://pravah_minio:9000", use_ssl=False)
    assert endpoint == "http://127.0.0.1:9000"
    assert note == "`pravah_minio` is not known here: using 127.0.0.1:9000"


def test_host_with_an_underscore_is_spoken_to_by_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 9000))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    assert reachable("http://my_store:9000", use_ssl=True) == ("http://10.1.2.3:9000", None)


@pytest.mark.parametrize("typed", ["ftp://h", "http://", "http://h/bucket"])
def test_endpoint_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(SettingError, match="scheme, host and port"):
        reachable(typed, use_ssl=True)


def test_named_connection_has_settings_of_its_own() -> None:
    found = connection(
        "lab",
        settings(
            S3_ENDPOINT_URL="http://main",
            PRAVAH_S3_LAB_ENDPOINT_URL="http://lab:1",
            PRAVAH_S3_LAB_REGION_NAME="eu-west-1",
        ),
    )
    assert (found.endpoint, found.region) == ("http://lab:1", "eu-west-1")
    with pytest.raises(SettingError) as raised:
        connection("moon", settings())
    assert raised.value.kind == "no_such_connection"


def test_without_an_endpoint_it_is_amazons() -> None:
    found = connection("", settings(AWS_REGION="eu-central-1"))
    assert (found.endpoint, found.region) == (None, "eu-central-1")


def test_description_has_what_the_core_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAVAH_ENV_FILE", "")
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://h:1")
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "word")
    described = json.loads(connections.describe("", renewed=False))
    assert described["endpoint"] == "http://h:1"
    assert described["credentials"] == {
        "access_key_id": "key",
        "secret_access_key": "word",
        "session_token": None,
        "expires_at_s": None,
        "origin": "S3_ACCESS_KEY_ID",
    }
