"""Every error that Pravah raises on purpose, each with a stable `kind`.

    PravahError                      70  a bug of ours, unless a class below says otherwise
    ├── SpecError                     2  the job spec, a step or an option can't be used
    │   └── OverlapError              2  source and sink lie in each other
    ├── SettingError                  2  a setting has a value that can't be used
    ├── StatusError                   2  the job's status does not allow it
    ├── NotYetError                   2  known, and not part of this release
    ├── NotFoundError                 3  (LookupError) a job, a failure group, a report
    │   └── SourceMissingError        3  (FileNotFoundError) a source that is not there
    ├── ForbiddenError                4  (PermissionError) the system does not allow it
    ├── LedgerError                   7  the database can't be used
    │   ├── LedgerBusyError           7  somebody else has held its write lock for too long
    │   │   └── LedgerUnreachableError 7  it is away for longer than a worker waits at once
    │   ├── LedgerDamagedError        7  its file is not what Pravah wrote
    │   └── LedgerVersionError        7  its schema is of another release
    ├── ServerError                   7  (ConnectionError) a server can't be reached or used
    ├── StoreError                    7  an object store can't be reached, or refuses us
    ├── MachineError                  7  (OSError) the machine has no room for another process
    └── EngineError                   1  the core gave up a task or a plan
        └── CoreMissingError         70  (ImportError) the core is not built

The number is the exit code. `kind` is the same word in Python, Rust, API, CLI and docs.
Messages are lower case, without a full stop, and name the path and both values.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar


class PravahError(Exception):
    """Say what failed, why, and what to do next."""

    kind: str = "internal_error"
    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        hint: str | None = None,
        causes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or type(self).kind
        self.hint = hint
        self.causes = causes

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """Give the form that a job's `error` has on the wire."""
        form: dict[str, Any] = {"kind": self.kind, "message": self.message}
        if self.causes:
            form["causes"] = list(self.causes)
        if self.hint:
            form["hint"] = self.hint
        return form


class SpecError(PravahError):
    """A job spec, a step or an option that can't be used."""

    kind = "invalid_spec"
    exit_code = 2


class OverlapError(SpecError):
    """Source and sink are the same or lie in each other."""

    kind = "source_is_sink"


class SettingError(PravahError):
    """A setting whose value can't be used."""

    kind = "invalid_setting"
    exit_code = 2


class StatusError(PravahError):
    """The job's status does not allow what was asked."""

    kind = "wrong_status"
    exit_code = 2


class NotYetError(PravahError):
    """Something known that this release can't do."""

    kind = "not_yet"
    exit_code = 2


class NotFoundError(PravahError, LookupError):
    """Something named that is not there."""

    kind = "not_found"
    exit_code = 3


class SourceMissingError(NotFoundError, FileNotFoundError):
    """A source that is not there."""

    kind = "source_missing"


class ForbiddenError(PravahError, PermissionError):
    """The operating system does not allow it."""

    kind = "permission_denied"
    exit_code = 4


class LedgerError(PravahError):
    """The database can't be reached or used."""

    kind = "ledger_unreachable"
    exit_code = 7


class LedgerBusyError(LedgerError):
    """Somebody else has held the database's write lock for too long."""

    kind = "ledger_busy"


class LedgerUnreachableError(LedgerBusyError):
    """The database is away, for longer than one piece of work waits for it."""

    kind = "ledger_unreachable"


class LedgerDamagedError(LedgerError):
    """The database is not what Pravah wrote."""

    kind = "ledger_damaged"


class LedgerVersionError(LedgerError):
    """The database's schema belongs to another release."""

    kind = "ledger_too_new"


class ServerError(PravahError, ConnectionError):
    """The server of PRAVAH_URL can't be reached, or can't answer."""

    kind = "server_unreachable"
    exit_code = 7


class StoreError(PravahError):
    """An object store that can't be reached, or that refuses us."""

    kind = "store_unreachable"
    exit_code = 7


class MachineError(PravahError, OSError):
    """The machine refuses what every job needs."""

    kind = "out_of_resources"
    exit_code = 7

    @classmethod
    def of(cls, what: str, error: OSError) -> MachineError:
        """Say what can't be done, and which limit was met."""
        reason = (error.strerror or str(error)).lower()
        hint = _MACHINE_HINTS.get(error.errno or 0, "`pravah doctor` checks this machine")
        return cls(what, causes=(f"{reason} (errno {error.errno})",), hint=hint)

    @staticmethod
    def explains(error: OSError) -> bool:
        """Tell whether an error of the system means that one of its limits was met."""
        return error.errno in _MACHINE_HINTS


_MACHINE_HINTS = {
    errno.EAGAIN: "the limit of processes is reached: `ulimit -u`, or the container's",
    errno.ENOMEM: "the system is out of memory: end something else, or lower `limits.memory`",
    errno.EMFILE: "this process has too many open files: `ulimit -n`",
    errno.ENFILE: "the system has too many open files: `sysctl fs.file-max`",
    errno.ENOSPC: "a disk is full: free some space where PRAVAH_HOME and TMPDIR are",
}


# What the core says of object stores, and what to do about it.
STORE_HINTS = {
    "store_unreachable": "check S3_ENDPOINT_URL, and whether the server runs; "
    "`pravah doctor s3://BUCKET/` tries it",
    "store_untrusted": "the server's certificate is not trusted here: SSL_CERT_FILE names a file "
    "of CA certificates; `http://` in S3_ENDPOINT_URL does without TLS",
    "store_busy": "the server has too much to do; the job can be resumed later",
    "store_refused": "`pravah doctor s3://BUCKET/` checks every right",
    "access_denied": "the keys lack a right there; `pravah doctor s3://BUCKET/` checks every one",
    "invalid_credentials": "check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY",
    "no_credentials": "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, AWS_PROFILE or a role",
    "no_such_bucket": "check its name; Pravah makes no buckets",
    "no_such_connection": "PRAVAH_S3_NAME_ENDPOINT_URL describes the connection NAME",
    "wrong_region": "set S3_REGION_NAME to the bucket's region",
    "clock_skew": "set this machine's clock: requests are valid for 15 minutes",
}
# What may be over soon: the same is tried again, where anything else ends the job.
PASSING = frozenset({"store_busy", "store_unreachable"})


def ours(what: str, problem: PravahError | OSError) -> PravahError:
    """Give an error that may be the system's as one of ours, which says what can't be done."""
    return problem if isinstance(problem, PravahError) else MachineError.of(what, problem)


class EngineError(PravahError):
    """The core gave up a task or refused a plan; `kind` is the core's."""

    kind = "engine_error"
    exit_code = 1


class CoreMissingError(EngineError, ImportError):
    """The core can't be loaded."""

    kind = "core_missing"
    exit_code = 70
