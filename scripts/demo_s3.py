"""The documented example on a real MinIO of its own: headers of files into `s3://output`.

    jobs create --source-path DIRECTORY --destination-path s3://output --processor extract_headers

The findings are read back by boto3, and the server is gone at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the servers are those of the tests

from tests.object_servers import served

_BUCKET = "output"
_SHOWN_LINES = 3
_FILES = {
    "orders.csv": "id,customer,total\n1,ada,9.50\n2,grace,12.00\n",
    "2026/people.tsv": "name\tcity\nada\tLondon\n",
    "2026/notes.md": "# Minutes\n\n## Decisions\n\nNone.\n",
    "page.html": "<html><head><title>t</title></head><body><h1>Title</h1></body></html>\n",
}


def main() -> int:
    """Run the example; give its exit code."""
    with (
        served("minio") as server,
        server.client() as client,
        tempfile.TemporaryDirectory(prefix="pravah-demo-") as home,
    ):
        source = Path(home) / "input"
        for name, text in _FILES.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        client.create_bucket(Bucket=_BUCKET)
        environment = {**os.environ, **server.settings(), "PRAVAH_ENV_FILE": ""}
        environment["PRAVAH_HOME"] = str(Path(home) / "home")
        command = ["jobs", "create", "--source-path", str(source)]
        command += ["--destination-path", f"s3://{_BUCKET}", "--processor", "extract_headers"]
        print(f"$ pravah {' '.join(command)} --wait", flush=True)
        ran = subprocess.run(
            [sys.executable, "-m", "pravah", *command, "--wait"], env=environment, check=False
        )
        for found in client.list_objects_v2(Bucket=_BUCKET).get("Contents", ()):
            body = client.get_object(Bucket=_BUCKET, Key=found["Key"])["Body"].read().decode()
            print(f"s3://{_BUCKET}/{found['Key']}, {found['Size']} bytes:")
            print("\n".join(body.splitlines()[:_SHOWN_LINES]))
        return ran.returncode


if __name__ == "__main__":
    raise SystemExit(main())
