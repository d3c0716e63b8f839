"""Objects that are reached by a role, whose keys are asked for again before they end."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored


def test_role_of_a_profile_is_assumed_and_its_keys_are_renewed_before_they_end(
    cli: Cli, double: S3Double, tmp_path: Path
) -> None:
    bucket = double.create_bucket()
    double.store.buckets[bucket].put(b"in/a", Stored(b"content", etag_of(b"content")))
    config = tmp_path / "config"
    config.write_text(
        f"[profile base]\naws_access_key_id = {double.access_key}\n"
        f"aws_secret_access_key = {double.secret_key}\n"
        "[profile work]\nrole_arn = arn:aws:iam::1:role/reader\nsource_profile = base\n"
    )
    cli.environment |= {
        "S3_ENDPOINT_URL": double.endpoint,
        "AWS_ENDPOINT_URL_STS": double.endpoint,
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_PROFILE": "work",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    # The first keys that each process is given end too soon to be used.
    double.store.roles_last_s = [60, 3_600, 60, 3_600]
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert (cli.directory / "out" / "a").read_bytes() == b"content"
    used = {
        (seen.operation == "AssumeRole", key)
        for seen in double.seen
        for key in [seen.headers["authorization"].split("/")[0].partition("=")[2]]
    }
    assert (True, double.access_key) in used
    by_role = {key for assumes, key in used if not assumes}
    assert by_role
    assert all(key.startswith("reader-") for key in by_role)
    assert double.count("AssumeRole") > len(by_role)
