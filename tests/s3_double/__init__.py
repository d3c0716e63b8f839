"""A faulty S3 of the tests' own: correct until it is told what to do wrong.

It runs in threads of the test's process, holds everything in memory, and checks signatures,
checksums and conditions as real stores do; so a client that it accepts has done its part.

    with S3Double() as double:
        bucket = double.create_bucket()
        double.faults.add("GetObject", slow_down(retry_after_s=1), times=3)

The rooms: `server` (HTTP), `service` (which operation a request is), `objects`, `multipart`,
`listing` (the operations), `store` (what there is), `signature`, `checksums`, `documents` (XML),
`faults` (what goes wrong, and when). It knows neither versions nor access control.
"""

from tests.s3_double.faults import (
    Act,
    Fault,
    corrupt,
    delay,
    loop_pages,
    meanwhile,
    ok_with,
    ok_with_error,
    refuse,
    repeat_page,
    reset_after,
    reset_before,
    skip_page,
    slow_down,
    truncate,
    wrong_checksum,
    wrong_length,
)
from tests.s3_double.server import S3Double
from tests.s3_double.store import Quirks

__all__ = [
    "Act",
    "Fault",
    "Quirks",
    "S3Double",
    "corrupt",
    "delay",
    "loop_pages",
    "meanwhile",
    "ok_with",
    "ok_with_error",
    "refuse",
    "repeat_page",
    "reset_after",
    "reset_before",
    "skip_page",
    "slow_down",
    "truncate",
    "wrong_checksum",
    "wrong_length",
]
