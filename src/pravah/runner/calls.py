"""Engine calls on threads: each sends its records as frames and waits for their verdicts."""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pravah import failpoints
from pravah.engine import Control, CoreError, Engine
from pravah.runner.frames import Message, encode


class Channel:
    """The sending end of the socket, shared by all calls."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a frame whole; a supervisor that is gone ends this process."""
        failpoints.passing(f"runner.{message['type']}.before_send")
        parts = encode(message)
        try:
            with self._lock:
                for part in parts:
                    self._connection.sendall(part)
        except OSError:
            os._exit(0)
        failpoints.passing(f"runner.{message['type']}.after_send")

    def log(self, level: str, text: str, **fields: object) -> None:
        """Have the supervisor write a line into its log."""
        self.send({"type": "log", "level": level, "message": text, "fields": fields})


class Call:
    """One running call of the engine."""

    def __init__(
        self, engine: Engine, channel: Channel, message: Message, known: list[bytes]
    ) -> None:
        self._engine = engine
        self._channel = channel
        self._message = message
        self._known = known
        self._id: int = message["call"]
        self._task_id: int | None = message.get("task", {}).get("id")
        self._verdicts: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.control = Control(engine)

    def start(self, on_end: Callable[[int], None]) -> None:
        """Begin on a thread of its own."""
        name = f"pravah-call-{self._id}"
        threading.Thread(target=self._run, args=(on_end,), name=name, daemon=True).start()

    def answer(self, verdict: str) -> None:
        """Hand over the verdict that the call waits for."""
        self._verdicts.put(verdict)

    def _run(self, on_end: Callable[[int], None]) -> None:
        end: Message = {"type": "ended", "call": self._id}
        try:
            end["status"] = self._work()
        except CoreError as error:
            end["error"] = {"kind": error.kind, "message": error.message}
        except BaseException as error:  # noqa: BLE001 - a panic of the core is no Exception
            told = f"{type(error).__name__}: {error}"
            end["error"] = {"kind": "engine_panicked", "message": told}
            named = {"job": json.loads(self._message["plan"])["job"], "task": self._task_id}
            self._channel.log(
                "ERROR", "the core panicked", **named, kind="engine_panicked", error=told
            )
        on_end(self._id)
        self._channel.send(end)

    def _work(self) -> str:
        plan = self._message["plan"]
        if self._message["type"] == "scan":
            asking = self._asking("tasks")
            return self._engine.run_scan(
                plan, self._message["unit"], self._known, self.control, asking
            )
        task = self._message["task"]
        # Pairs arrive as lists: JSON has no tuples.
        for name in ("fingerprints", "poisoned"):
            task[name] = [tuple(pair) for pair in task[name]]
        return self._engine.run_task(plan, task, self.control, self._asking("window"))

    def _asking(self, kind: str) -> Callable[[Mapping[str, Any]], Any]:
        def ask(record: Mapping[str, Any]) -> str:
            self._channel.send({"type": kind, "call": self._id, "record": dict(record)})
            return self._verdicts.get()

        return ask
