"""`pravah.Client` on a real server, from threads and from asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import pravah
from tests.api_server import serving


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Serve a ledger of its own, with a worker, for what lies below the test's directory."""
    import os

    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    own = {
        "PRAVAH_HOME": str(tmp_path / "home"),
        "PRAVAH_ENV_FILE": "",
        "PRAVAH_DEV": "1",
        "PRAVAH_ALLOWED_ROOTS": str(tmp_path),
    }
    with serving({**kept, **own}, tmp_path, "--workers", "1") as served:
        yield served


@pytest.fixture
def data(tmp_path: Path) -> Path:
    source = tmp_path / "data"
    source.mkdir()
    for name in ("a.csv", "b.csv"):
        (source / name).write_text(f"id,name\n1,{name}\n")
    return source


def test_client_runs_a_job_and_tells_all_about_it(url: str, data: Path, tmp_path: Path) -> None:
    with pravah.Client(url) as client:
        planned = client.plan(data, to=tmp_path / "out", steps="compress")
        assert planned.entries == 2
        job = client.run(data, to=tmp_path / "out", steps=["checksum", "compress:gzip"])
        assert (job.status, job.counts.done) == ("completed", 2)
        assert client.get(job.id).to_dict() == job.to_dict()
        assert [each.id for each in client.list(status="completed")] == [job.id]
        assert {file["outcome"] for file in job.files()} == {"done"}
        assert job.failures() == []
        assert job.report()["counts"]["done"] == 2
        assert [record["path"] for record in job.results()] == sorted(
            str(path) for path in data.iterdir()
        )
        found = job.results()
        for _ in range(2):
            assert pl.DataFrame(found)["path"].to_list() == [r["path"] for r in found]
        assert len(found) == 2
        found.write(tmp_path / "found.parquet")
        assert len(client.workers()) == 1
        job.delete()
        with pytest.raises(LookupError):
            client.get(job.id)
    assert (tmp_path / "found.parquet").read_bytes()[:4] == b"PAR1"
    assert sorted(path.name for path in (tmp_path / "out").glob("*.gz")) == ["a.csv.gz", "b.csv.gz"]


def test_client_refuses_what_the_server_can_not_see(url: str, data: Path) -> None:
    with pravah.Client(url) as client, pytest.raises(pravah.PravahError) as error:
        client.run("data/", to="/out", steps="copy")
    assert error.value.kind == "relative_path"
    assert data.exists()


def test_client_is_awaited(url: str, data: Path, tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with pravah.aio.Client(url) as client:
            codecs = ("gzip", "lz4")
            jobs = await asyncio.gather(
                *(
                    client.run(data, to=tmp_path / codec, steps=f"compress:{codec}")
                    for codec in codecs
                )
            )
            assert {job.id for job in await client.list()} == {job.id for job in jobs}
            return [str((await job.refresh()).status) for job in jobs]

    assert asyncio.run(main()) == ["completed", "completed"]


def test_task_that_is_cancelled_stops_waiting_and_the_job_goes_on(
    url: str, data: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with pravah.aio.Client(url) as client:
            steps = [{"compress": {"level": 19}}]
            waiting = asyncio.create_task(client.run(data, to=tmp_path / "out", steps=steps))
            await asyncio.sleep(0.2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            (job,) = await client.list()
            assert (await job.wait()).status == "completed"

    asyncio.run(main())


def test_client_without_a_server_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRAVAH_URL", raising=False)
    monkeypatch.setenv("PRAVAH_ENV_FILE", "")
    with pytest.raises(pravah.PravahError) as error:
        pravah.Client()
    assert error.value.kind == "invalid_setting"
