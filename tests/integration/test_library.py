"""Pravah as a library, on the real engine: what `import pravah` offers, synchronous and not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pravah
import pravah.aio
from pravah.errors import LedgerError, NotFoundError, SpecError, StatusError
from pravah.library.described import SECTION_OF, Keys
from pravah.library.session import opened
from pravah.model.spec import JobSpec


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a directory with a source, and with a ledger of its own."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "data" / "deep" / f"{number:02}.csv").write_text("id,x\n" + "1,2\n" * number)
    monkeypatch.chdir(tmp_path)
    for name, value in (("PRAVAH_HOME", "home"), ("PRAVAH_ENV_FILE", ""), ("DATABASE_URL", "")):
        monkeypatch.setenv(name, str(tmp_path / value) if value else "")
    return tmp_path


def slow(**keys: object) -> dict[str, object]:
    """Give the arguments of a job that takes long, at so many bytes a second."""
    big = Path("big")
    big.mkdir(exist_ok=True)
    for number in range(400):
        (big / f"{number}").write_bytes(b"x" * 4096)
    return {"source": "big", "to": "out", "steps": "copy", "read_rate": "100kB/s", **keys}


def listed() -> bool:
    """Tell whether a job has begun to list its source."""
    return any(job.counts.listed for job in pravah.jobs.list())


def test_public_names_are_all_there_sorted_and_loaded_on_demand() -> None:
    assert pravah.__all__ == sorted(pravah.__all__)
    assert all(getattr(pravah, name) is not None for name in pravah.__all__)
    assert set(pravah.__all__) <= set(dir(pravah))
    loaded = "import sys, pravah; print([m for m in sys.modules if m.startswith('pravah.')])"
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert ran.stdout == b"[]\n"
    with pytest.raises(AttributeError):
        pravah.nothing  # noqa: B018


def test_arguments_are_the_keys_of_the_spec() -> None:
    sections = set(SECTION_OF)
    top = set(JobSpec.model_fields) - {"version", "source", "steps"}
    assert Keys.__optional_keys__ == sections | top | {"results_to"}


def test_run_does_what_the_command_does() -> None:
    job = pravah.run("data/", to="out", steps=["checksum", "compress:gzip"], overwrite="never")
    assert (job.status, job.counts.done, job.counts.listed) == ("completed", 20, 20)
    assert job.to_dict()["spec"]["sink"]["overwrite"] == "never"
    shown = [sys.executable, "-m", "pravah", "jobs", "show", job.id, "--json"]
    assert json.loads(subprocess.run(shown, capture_output=True, check=True).stdout) == (
        job.refresh().to_dict()
    )
    assert {file["outcome"] for file in job.files()} == {"done"}
    assert job.report()["counts"]["done"] == len(list(Path("out/deep").iterdir())) == 20
    assert repr(job) == f"<Job {job.id} completed: 20 of 20 done>"


def test_plan_tells_and_writes_nothing(directory: Path) -> None:
    told = pravah.plan(Path("data"), to=b"out", steps={"compress": {"codec": "gzip"}})
    assert (told.entries, told.problems) == (20, [])
    assert told.outputs[0].endswith("/out/deep/00.csv.gz")
    assert not (directory / "out").exists()
    assert not (directory / "home" / "pravah.db").exists()


def test_spec_is_a_map_or_a_file_and_arguments_win() -> None:
    mapping = {"source": "data", "steps": "copy", "sink": {"uri": "out", "verify": "content"}}
    Path("spec.yaml").write_text(json.dumps(mapping))
    for spec in (mapping, "spec.yaml", Path("spec.yaml")):
        told = pravah.plan(spec=spec, to="elsewhere", budget="1%").spec
        assert told.sink is not None
        assert told.sink.uri.endswith("/elsewhere")
        assert (told.sink.verify, told.on_error.budget) == ("content", "1%")
    assert mapping["sink"] == {"uri": "out", "verify": "content"}


def test_errors_are_those_of_the_command_line() -> None:
    with pytest.raises(SpecError) as refused:
        pravah.run("data", to="out", steps="copy", overwite="never")
    assert (refused.value.kind, refused.value.hint) == ("invalid_spec", "did you mean `overwrite`?")
    with pytest.raises(FileNotFoundError):
        pravah.run("nowhere", to="out", steps="copy")
    with pytest.raises(pravah.PravahError, match="overwrite is `x`"):
        pravah.plan("data", to="out", steps="copy", overwrite="x")
    with pytest.raises(LedgerError):
        pravah.jobs.list(ledger="no/such.db")
    with pytest.raises(LookupError):
        pravah.jobs.get("job_7ZZZ")


def test_failed_files_raise_nothing_and_are_told() -> None:
    Path("data/bad.gz").write_bytes(b"\x1f\x8b nothing")
    job = pravah.run("data", to="out", steps="decompress", type="compressed")
    assert (job.status, job.counts.failed, job.error) == ("failed", 1, None)
    (group,) = job.failures()
    assert (group.count, group.step) == (1, "decompress")
    Path("data/bad.gz").write_bytes(bytes.fromhex("1f8b08000000000000030300000000000000000000"))
    Path("data/bad.gz").unlink()
    assert job.retry(group.id).status == "pending"
    assert job.wait().counts.vanished == 1


def test_jobs_are_created_found_steered_and_removed() -> None:
    job = pravah.jobs.create("data", to="out", steps="compress", name="one", labels={"kind": "a"})
    assert (job.status, job.name) == ("pending", "one")
    assert pravah.jobs.create("data", to="out", steps="compress").id == job.id
    team = pravah.jobs.create("data", to="out", steps="compress", labels={"team": "another"})
    assert team.id != job.id  # a team goes on with its own jobs only
    team.cancel()
    team.delete()
    other = pravah.jobs.create("data", to="out", steps="compress", new=True)
    assert [each.id for each in pravah.jobs.list()] == [other.id, job.id]
    assert [each.id for each in pravah.jobs.list(limit=1)] == [other.id]
    assert pravah.jobs.pause(job.id).status == "paused"
    assert [each.id for each in pravah.jobs.list(status="paused")] == [job.id]
    assert pravah.jobs.resume(job.id).status == "pending"
    assert pravah.jobs.wait(job.id[:-1]).status == "completed"
    assert other.cancel().status == "cancelled"
    assert job.refresh().undo().removed == 20
    with pytest.raises(StatusError):
        job.pause()
    job.delete()
    pravah.jobs.delete(other.id)
    assert pravah.jobs.list() == []
    with pytest.raises(NotFoundError):
        job.refresh()
    with pytest.raises(SpecError, match="pending, running"):
        pravah.jobs.list(status="done")


def test_results_speak_arrow_to_every_library() -> None:
    found = pravah.run("data", steps=["extract_headers", "count"]).results()
    records = list(found)
    assert len(records) == len(found) == 40
    table = pa.RecordBatchReader.from_stream(found).read_all()
    assert pa.types.is_list(table.schema.field("columns").type)
    assert table.column("path").to_pylist() == [record["path"] for record in records]
    assert table.column("columns").to_pylist() == [record.get("columns") for record in records]
    assert pl.DataFrame(found)["lines"].sum() == sum(range(1, 21))
    assert pd.DataFrame.from_arrow(found)["lines"].sum() == sum(range(1, 21))
    assert duckdb.sql("select sum(lines) from found").fetchall() == [(210,)]
    assert pa.RecordBatchReader.from_stream(found).read_all() == table
    with pytest.raises(SpecError, match="can't tell the format"):
        found.write("found.xml")


def test_scan_speaks_arrow_to_every_library() -> None:
    files = pravah.scan("data", include=["*.csv"], stat=True)
    assert duckdb.sql("select count(*) from files where kind = 'file'").fetchall() == [(20,)]
    assert len(pl.DataFrame(files).filter(pl.col("kind") == "file")) == 20


def test_scan_that_could_not_read_all_ends_with_an_error() -> None:
    gone = Path("gone")
    gone.mkdir()
    files = pravah.scan("data", gone)
    gone.rmdir()
    stream, batches = pa.RecordBatchReader.from_stream(files), []
    with pytest.raises(pa.ArrowException, match=r"can't list all: `gone`: .*no such file or dir"):
        batches.extend(stream)
    assert sum(batch.num_rows for batch in batches) > 20


@pytest.mark.parametrize(
    ("root", "keys", "kind", "told"),
    [
        ("nothing", {}, "source_missing", "there is no file or directory `nothing`"),
        ("data", {"include": "*.csv"}, "invalid_spec", "include is `*.csv`, a list"),
        ("data", {"exclude": "*.csv"}, "invalid_spec", "exclude is `*.csv`, a list"),
        ("data", {"includ": ["*.csv"]}, "invalid_spec", "unknown key `includ`"),
        ("s3+no://bucket/", {}, "no_such_connection", "there is no connection `no`"),
    ],
)
def test_scan_that_can_not_be_done_as_asked_is_refused(
    root: str, keys: dict[str, object], kind: str, told: str
) -> None:
    with pytest.raises(pravah.PravahError) as caught:
        pravah.scan(root, **keys)
    assert (caught.value.kind, told in str(caught.value)) == (kind, True)


def test_scan_lists_what_globs_and_types_say() -> None:
    Path("data/deep/note.txt").write_text("note")
    found = [
        set(pl.DataFrame(files).filter(pl.col("kind") == "file")["name"])
        for files in (pravah.scan("da*/deep/*.csv"), pravah.scan("data", type="csv"))
    ]
    assert found == [{f"{number:02}.csv".encode() for number in range(20)}] * 2


def test_ledger_that_is_named_has_the_job(directory: Path) -> None:
    job = pravah.run("data", steps="count", ledger="mine/jobs.db")
    assert (directory / "mine" / "jobs.db").exists()
    assert len(job.results()) == 20
    assert pravah.jobs.list() == []
    assert [each.id for each in pravah.jobs.list(ledger="mine/jobs.db")] == [job.id]


@pytest.fixture
def heard_interrupts() -> Iterator[None]:
    """Have Python hear SIGINT, which a shell ignores for what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupts")
def test_ctrl_c_pauses_the_job_and_the_same_call_goes_on() -> None:
    arguments = slow()

    def press() -> None:
        while not listed():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        pravah.run(**arguments)  # type: ignore[arg-type]
    presser.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    (job,) = pravah.jobs.list()
    assert job.status == "paused"
    assert job.counts.done < 400
    del arguments["read_rate"]
    with opened(None) as application:
        application.jobs.change(job.id, {"limits": {"read_rate": None}})
    again = pravah.run(**arguments)  # type: ignore[arg-type]
    assert (again.id, again.counts.done) == (job.id, 400)


def test_calls_can_be_awaited() -> None:
    async def main() -> None:
        assert (await pravah.aio.plan("data", to="out", steps="compress")).entries == 20
        created = await pravah.aio.jobs.create("data", to="out", steps=["count", "compress"])
        assert [job.id for job in await pravah.aio.jobs.list()] == [created.id]
        both = await asyncio.gather(created.wait(), pravah.aio.run("data", steps="count"))
        assert both[0] is created
        assert [(str(job.status), job.counts.done) for job in both] == [("completed", 20)] * 2
        assert len([file async for file in created.files("done")]) == 20
        assert len(created.results()) == 20
        assert (await created.failures(), (await created.report())["status"]) == ([], "completed")
        await created.delete()
        with pytest.raises(NotFoundError):
            await pravah.aio.jobs.get(created.id)

    asyncio.run(main())


def test_cancelled_task_pauses_its_job() -> None:
    async def main() -> None:
        task = asyncio.create_task(pravah.aio.run(**slow()))  # type: ignore[arg-type]
        while not await asyncio.to_thread(listed):
            await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (job,) = pravah.jobs.list()
    assert job.status == "paused"


def test_threads_work_on_jobs_beside_each_other() -> None:
    done: list[pravah.Job] = []
    each = [
        threading.Thread(target=lambda n=n: done.append(pravah.run("data", f"o{n}", "compress")))
        for n in range(4)
    ]
    for thread in each:
        thread.start()
    for thread in each:
        thread.join()
    assert [(str(job.status), job.counts.done) for job in done] == [("completed", 20)] * 4
