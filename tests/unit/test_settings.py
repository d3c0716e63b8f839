"""Settings: where values come from, which are refused, what is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pravah.errors import SettingError
from pravah.settings import Settings, masked_url, read_env_file


def _origin(settings: Settings, name: str) -> tuple[str | None, str]:
    (found,) = [origin for origin in settings.origins() if origin.name == name]
    return found.value, found.origin


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(
        "# comment\n"
        "APP_PORT=9000\n"
        "export LOG_LEVEL='debug' # why\n"
        'S3_SECRET_ACCESS_KEY="se#cret"\n'
        "APP_HOST=0.0.0.0 # all of them\n"
        "DATABASE_URL=\n"
        "not a setting\n"
    )
    return path


def test_value_of_the_environment_beats_that_of_the_file(env_file: Path) -> None:
    settings = Settings({"PRAVAH_ENV_FILE": str(env_file), "APP_PORT": "9001"})
    assert settings.get("APP_PORT") == 9001
    assert settings.get("LOG_LEVEL") == "DEBUG"
    assert settings.get("APP_HOST") == "0.0.0.0"  # noqa: S104
    assert _origin(settings, "APP_PORT") == ("9001", "environment")
    assert _origin(settings, "LOG_LEVEL") == ("debug", f"file {env_file}")
    assert _origin(settings, "S3_USE_SSL") == ("true", "default")


def test_empty_value_counts_as_unset(env_file: Path, tmp_path: Path) -> None:
    settings = Settings({"PRAVAH_ENV_FILE": str(env_file), "PRAVAH_HOME": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path}/pravah.db"
    assert _origin(settings, "DATABASE_URL") == (settings.database_url, "default")


def test_env_file_that_is_named_by_nothing_is_not_read(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(env_file.parent)
    assert Settings({}).get("APP_PORT") == 9000
    assert Settings({"PRAVAH_ENV_FILE": ""}).get("APP_PORT") == 8000


def test_secrets_are_never_shown(env_file: Path) -> None:
    url = "postgresql://user:word@host:5432/name"
    settings = Settings({"PRAVAH_ENV_FILE": str(env_file), "DATABASE_URL": url})
    shown = str([origin.to_dict() for origin in settings.origins()])
    assert settings.get("S3_SECRET_ACCESS_KEY") == "se#cret"
    assert "se#cret" not in shown
    assert ":word@" not in shown


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("APP_PORT", "http", "APP_PORT is `http`, a port from 1 to 65535 is expected"),
        ("APP_PORT", "70000", "APP_PORT is `70000`, a port from 1 to 65535 is expected"),
        ("S3_USE_SSL", "maybe", "S3_USE_SSL is `maybe`, true or false is expected"),
        ("PRAVAH_THREADS", "0", "PRAVAH_THREADS is `0`, a number of threads from 1 on is expected"),
    ],
)
def test_value_that_makes_no_sense_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings({"PRAVAH_ENV_FILE": "", name: value})
    assert caught.value.message == message
    assert caught.value.hint == "it was set in the environment"


def test_home_is_the_platforms_place_unless_set(tmp_path: Path) -> None:
    assert Settings({"PRAVAH_ENV_FILE": "", "PRAVAH_HOME": str(tmp_path)}).home == tmp_path
    assert Settings({"PRAVAH_ENV_FILE": ""}).home.name == "pravah"


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(SettingError, match="can't read"):
        read_env_file(path)


@pytest.mark.parametrize("url", ["sqlite:////a/b@c", "postgresql://host/name", "plain"])
def test_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert masked_url(url) == url


@pytest.mark.parametrize("password", ["a@b", "a/b", "a#b", "a?b", "a:b", "a b", "?password=a@b"])
def test_password_of_a_url_is_masked_whatever_it_holds(password: str) -> None:
    assert masked_url(f"postgresql://u:{password}@host/n") == "postgresql://u:********@host/n"


def test_password_in_the_query_of_a_url_is_masked() -> None:
    url = "postgresql://host/n?user=u&password=a&sslpassword=b&sslmode=require"
    masked = "postgresql://host/n?user=u&password=********&sslpassword=********&sslmode=require"
    assert masked_url(url) == masked
