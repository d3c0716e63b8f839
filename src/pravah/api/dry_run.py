"""What a job would do, found out in a process of its own.

Everything is listed and the first files are tried: that takes memory and time, and runs codecs
over files of strangers. So it has a process, which is killed when it takes too long, and few run
at once.

`python -m pravah.api.dry_run` is that process: a spec on stdin, the plan or an error on stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from pravah.api.problems import Problem, busy, problem_of
from pravah.errors import EngineError, PravahError
from pravah.model.spec import JobSpec

TIMEOUT_S = 60.0
AT_ONCE = 2
_WAITING = 20
_places = AT_ONCE + _WAITING
_turns = asyncio.Semaphore(AT_ONCE)


async def dry_run(spec: JobSpec) -> dict[str, Any]:
    """Give the plan of a job; Problem where it would be refused."""
    global _places  # noqa: PLW0603 - counts the processes of this one
    if _places == 0:
        raise busy("too many dry runs wait")
    _places -= 1
    try:
        async with _turns:
            answer = await _ask(spec)
    finally:
        _places += 1
    if (error := answer.get("problem")) is not None:
        raise Problem(error["status"], error["kind"], error["detail"], hint=error["hint"])
    plan: dict[str, Any] = answer["plan"]
    return plan


async def _ask(spec: JobSpec) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pravah.api.dry_run",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, _ = await process.communicate(json.dumps(spec.to_dict()).encode())
        found: dict[str, Any] = json.loads(out)
    except TimeoutError:
        raise Problem(
            422,
            "plan_takes_too_long",
            f"the plan was not ready within {TIMEOUT_S:g} s",
            hint="plan a part of the source, or create the job: it lists while it works",
        ) from None
    except ValueError:
        raise EngineError(f"the dry run ended with {process.returncode} and said nothing") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return found


def main() -> None:
    """Plan the spec of stdin."""
    from pravah.bootstrap import application
    from pravah.jobs.preview import preview

    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no part of the answer
    spec = JobSpec.parse(json.load(sys.stdin))
    opened = application()
    try:
        jobs = opened.jobs if spec.source.files_from else None
        seen = preview(spec, threads=opened.settings.threads, jobs=jobs)
        answer: dict[str, Any] = {"plan": seen.to_dict()}
    except PravahError as error:
        answer = {"problem": problem_of(error).to_dict("/jobs")}
    finally:
        opened.close()
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main()
