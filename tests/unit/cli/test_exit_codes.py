"""The table of exit codes, and that every way to get one is in it."""

import pytest

from pravah import errors
from pravah.cli.exit_codes import ExitCode, of_job
from pravah.model.status import JobStatus


def test_exit_codes_are_the_documented_numbers() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FILES_FAILED": 1,
        "USAGE": 2,
        "NOT_FOUND": 3,
        "NOT_ALLOWED": 4,
        "STOPPED": 5,
        "NOTHING_MATCHED": 6,
        "UNREACHABLE": 7,
        "BUG": 70,
        "INTERRUPTED": 130,
        "BROKEN_PIPE": 141,
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (JobStatus.COMPLETED, ExitCode.OK),
        (JobStatus.FAILED, ExitCode.FILES_FAILED),
        (JobStatus.CANCELLED, ExitCode.STOPPED),
        (JobStatus.PAUSED, ExitCode.STOPPED),
    ],
)
def test_status_of_a_job_decides_the_exit_code(status: JobStatus, code: ExitCode) -> None:
    assert of_job({"status": str(status)}) == code


def test_every_error_has_an_exit_code_of_the_table() -> None:
    found = [errors.PravahError]
    for error in found:
        found.extend(error.__subclasses__())
    assert len(found) > 10
    assert {error.exit_code for error in found} <= set(ExitCode)
