"""Settings: from the environment, then `.env`, then defaults; each remembers where it came from.

Read by hand and not by a library, as start-up is part of the product (importing pydantic_settings
alone takes 161 ms). Nothing here connects to anything.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pravah.errors import SettingError

Value = str | int | bool

_USER_PASSWORD = re.compile(r"(://[^:/?#@]*):.*@", re.DOTALL)
_QUERY_PASSWORD = re.compile(r"([?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in the environment, its default and what it is for."""

    name: str
    default: str | None
    summary: str
    read: Callable[[str], Value] = str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting's value as people may see it, and where it came from."""

    name: str
    value: str | None
    origin: str
    summary: str

    def to_dict(self) -> dict[str, str | None]:
        """Give the wire form, as `config show --origin --json` prints it."""
        return {
            "name": self.name,
            "value": self.value,
            "origin": self.origin,
            "summary": self.summary,
        }


def _log_level(text: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if text.upper() not in levels:
        raise ValueError(f"one of {', '.join(levels)} is expected")
    return text.upper()


def _log_format(text: str) -> str:
    if text.lower() not in ("text", "json"):
        raise ValueError("text or json is expected")
    return text.lower()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError("a port from 1 to 65535 is expected")
    return int(text)


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError("true or false is expected")
    return words[text.lower()]


def _threads(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a number of threads from 1 on is expected")
    return int(text)


def _processes(text: str) -> int:
    if not text.isdecimal() or int(text) > 1000:
        raise ValueError("a number of processes from 0 to 1000 is expected")
    return int(text)


def _admin_key(text: str) -> str:
    # Whoever guesses it has everything: 16 letters are the least that nobody tries out.
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("at least 16 printable ASCII characters without a blank are expected")
    return text


def _origins(text: str) -> str:
    """Check a list of origins as browsers write them: a scheme, a host, a port, and no more."""
    for each in text.split(","):
        parts = urlsplit(each.strip())
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and "*" not in each
        if not whole or each.strip() != f"{parts.scheme}://{parts.netloc}".lower():
            raise ValueError(
                "origins as in `https://app.example,http://localhost:3000` are expected"
            )
    return text


def server_url(text: str) -> str:
    """Check the URL of a server; ValueError says what is expected."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL as in `https://pravah.example:8000` is expected")
    if parts.username or parts.password:
        raise ValueError("a URL without a password is expected; PRAVAH_API_KEY takes the key")
    return text


SETTINGS = (
    Setting("LOG_LEVEL", "INFO", "least severe messages that are logged", _log_level),
    Setting("PRAVAH_LOG_FORMAT", "text", "how the log is written: text or json", _log_format),
    Setting("APP_HOST", "127.0.0.1", "address that the API listens on"),
    Setting("APP_PORT", "8000", "port that the API listens on", _port),
    Setting("PRAVAH_WORKERS", "1", "worker processes that the API starts", _processes),
    Setting(
        "PRAVAH_ALLOWED_ROOTS",
        None,
        "directories that callers of the API reach, as `/a:/b`; unset: `data` here",
    ),
    Setting(
        "PRAVAH_ADMIN_KEY",
        None,
        "a key of the API that opens everything",
        _admin_key,
        secret=True,
    ),
    Setting("PRAVAH_ADMIN_KEY_FILE", None, "a file that holds such a key"),
    Setting(
        "PRAVAH_CORS_ORIGINS",
        None,
        "origins whose pages may call the API, as `https://a,https://b`; unset: none",
        _origins,
    ),
    Setting("PRAVAH_UPLOAD_LIMIT", "64MiB", "most that the files of one request may have; 0: none"),
    Setting("DATABASE_URL", None, "the ledger; unset: SQLite below PRAVAH_HOME"),
    Setting("S3_ACCESS_KEY_ID", None, "access key of the object store"),
    Setting("S3_SECRET_ACCESS_KEY", None, "secret key of the object store", secret=True),
    Setting("S3_BUCKET_NAME", None, "bucket that `s3:///key` means"),
    Setting("S3_ENDPOINT_URL", None, "endpoint of the object store; unset: AWS"),
    Setting("S3_REGION_NAME", None, "region of the object store"),
    Setting("S3_USE_SSL", "true", "speak TLS where the endpoint names no scheme", _flag),
    Setting("PRAVAH_HOME", None, "data directory: the embedded ledger, locks and scratch files"),
    Setting("PRAVAH_THREADS", None, "threads of the engine; unset: the CPU quota", _threads),
    Setting("PRAVAH_HOST", None, "what this host is called among workers; unset: its host name"),
    Setting("PRAVAH_SHARED_ROOTS", None, "directories that are the same on all hosts, as `/a:/b`"),
    Setting("PRAVAH_RETENTION", None, "how long ended jobs are kept; unset: for ever"),
    Setting(
        "PRAVAH_URL", None, "a server that `run`, `plan`, `jobs` and `workers` act on", server_url
    ),
    Setting("PRAVAH_API_KEY", None, "the key that is sent to this server", secret=True),
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", None, "where traces go, by OTLP/HTTP; unset: nowhere"),
    Setting("PRAVAH_DEV", "false", "a build without optimisation is meant", _flag),
)

# Where to look for the `.env` file; empty: nowhere (`make demo` must not depend on one).
ENV_FILE_VARIABLE = "PRAVAH_ENV_FILE"


class Settings:
    """Every setting's value, read and checked once.

    >>> Settings({"APP_PORT": "9000", "PRAVAH_ENV_FILE": ""}).get("APP_PORT")
    9000
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        path = self._environment.get(ENV_FILE_VARIABLE, ".env")
        self._file_path = path
        self._file = read_env_file(Path(path)) if path else {}
        self._values = {setting.name: self._read(setting) for setting in SETTINGS}

    def get(self, name: str) -> Value | None:
        """Give the value of the setting called `name`; None where it is unset."""
        return self._values[name]

    def text(self, name: str) -> str | None:
        """Give what is written for any name, be it in the list of settings or another tool's."""
        # An empty value counts as unset, as in the lines of an unedited `.env.example`.
        return self._environment.get(name) or self._file.get(name) or None

    @property
    def home(self) -> Path:
        """The data directory: `$PRAVAH_HOME`, by default the platform's place for user data."""
        return Path(str(self.get("PRAVAH_HOME") or platform_home())).expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The ledger's URL; by default SQLite in the data directory."""
        return str(self.get("DATABASE_URL") or f"sqlite:///{self.home / 'pravah.db'}")

    @property
    def threads(self) -> int | None:
        """Threads of the engine; None leaves it to the engine."""
        found = self.get("PRAVAH_THREADS")
        return None if found is None else int(found)

    @property
    def shared_roots(self) -> tuple[Path, ...]:
        """Directories that every host of the ledger sees alike."""
        listed = str(self.get("PRAVAH_SHARED_ROOTS") or "").split(os.pathsep)
        return tuple(Path(each).expanduser().absolute() for each in listed if each)

    @property
    def allowed_roots(self) -> tuple[Path, ...]:
        """Directories that callers of the API reach; by default `data` below the working one."""
        listed = str(self.get("PRAVAH_ALLOWED_ROOTS") or "data").split(os.pathsep)
        return tuple(Path(each).expanduser().absolute() for each in listed if each)

    @property
    def cors_origins(self) -> frozenset[str]:
        """Origins whose pages may call the API."""
        listed = str(self.get("PRAVAH_CORS_ORIGINS") or "").split(",")
        return frozenset(each.strip() for each in listed if each.strip())

    def origins(self) -> list[Origin]:
        """Tell of each setting what it is and where it came from; secrets are masked."""
        derived = {"DATABASE_URL": self.database_url, "PRAVAH_HOME": str(self.home)}
        listed = []
        for setting in SETTINGS:
            text, origin = self._text(setting)
            text = derived.get(setting.name, text) if text is None else text
            listed.append(Origin(setting.name, masked(setting, text), origin, setting.summary))
        return listed

    def _read(self, setting: Setting) -> Value | None:
        text, origin = self._text(setting)
        if text is None:
            return None
        try:
            return setting.read(text)
        except ValueError as error:
            shown = masked(setting, text)
            raise SettingError(
                f"{setting.name} is `{shown}`, {error}",
                hint=f"it was set in the {origin}" if origin != "default" else None,
            ) from None

    def _text(self, setting: Setting) -> tuple[str | None, str]:
        if value := self._environment.get(setting.name):
            return value, "environment"
        if value := self._file.get(setting.name):
            return value, f"file {self._file_path}"
        return setting.default, "default"


def platform_home() -> Path:
    """Give the platform's directory for the user's data of this program."""
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/pravah")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")) / "pravah"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "pravah"


def read_env_file(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; a file that is not there has none.

    Comments, `export `, and single or double quotes are understood; values are never expanded.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"can't read {path}: {error}",
            kind="unreadable_settings",
            hint=f"make it readable, or set {ENV_FILE_VARIABLE} to another file or to nothing",
        ) from error
    return dict(filter(None, map(_env_line, lines)))


def _env_line(line: str) -> tuple[str, str] | None:
    name, equals, value = line.strip().removeprefix("export ").partition("=")
    name, value = name.strip(), value.strip()
    if not equals or name.startswith("#"):
        return None
    if value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0:
        return name, value[1:end]
    return name, value.split(" #", 1)[0].rstrip()


def masked(setting: Setting, text: str | None) -> str | None:
    """Hide what must not be shown: secrets, and the password of a URL."""
    if text is None:
        return None
    return "********" if setting.secret else masked_url(text)


def masked_url(text: str) -> str:
    """Hide the passwords of a URL; anything else is given back as it is.

    A password ends at the last `@`: it may hold what ends the address elsewhere.

    >>> masked_url("postgresql://user:wo/r#d@host/name?sslpassword=word")
    'postgresql://user:********@host/name?sslpassword=********'
    """
    return _QUERY_PASSWORD.sub(r"\1********", _USER_PASSWORD.sub(r"\1:********@", text))
