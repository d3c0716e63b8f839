"""One job per file that does nothing, through queues on PostgreSQL that Python programs use.

`python queues.py pgqueuer|procrastinate JOBS` with a database of its own in DATABASE_URL, which is
emptied before. Enqueuing is not counted; the seconds that the jobs took are printed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

URL = os.environ["DATABASE_URL"]


async def pgqueuer(jobs: int) -> float:
    """Work on the jobs with batches of 100, as PgQueuer's own benchmark does."""
    import asyncpg
    from pgqueuer import AsyncpgDriver, Queries, QueueManager
    from pgqueuer.types import QueueExecutionMode

    connection = await asyncpg.connect(URL)
    await emptied()
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    manager = QueueManager(queries)
    done = 0

    @manager.entrypoint("nothing")
    async def nothing(_job: object) -> None:
        nonlocal done
        done += 1

    for start in range(0, jobs, 1_000):
        count = min(1_000, jobs - start)
        await queries.enqueue(["nothing"] * count, [None] * count, [0] * count)
    began_s = time.perf_counter()
    await manager.run(batch_size=100, mode=QueueExecutionMode.drain)
    took_s = time.perf_counter() - began_s
    if done != jobs:
        raise SystemExit(f"{done} of {jobs} jobs done")
    return took_s


async def procrastinate(jobs: int) -> float:
    """Work on the jobs with 20 at a time."""
    from procrastinate import App, PsycopgConnector

    await emptied()
    app = App(connector=PsycopgConnector(conninfo=URL))
    done = 0

    @app.task(name="nothing")
    async def nothing() -> None:
        nonlocal done
        done += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, jobs, 1_000):
            count = min(1_000, jobs - start)
            await nothing.batch_defer_async(*({} for _ in range(count)))
        began_s = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=20, install_signal_handlers=False)
        took_s = time.perf_counter() - began_s
    if done != jobs:
        raise SystemExit(f"{done} of {jobs} jobs done")
    return took_s


async def emptied() -> None:
    """Drop what an earlier round left in the database."""
    import asyncpg

    connection = await asyncpg.connect(URL)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()


if __name__ == "__main__":
    work = {"pgqueuer": pgqueuer, "procrastinate": procrastinate}[sys.argv[1]]
    print(f"{asyncio.run(work(int(sys.argv[2]))):.3f}")
