"""The queues' and the scheduler's part on this machine: due jobs and ticks become events for the real handlers.

The jobs table is the queue. While jobs of a kind are due, the handler of that kind gets wake-ups as SQS would deliver
them. The handler claims the next due job, not the one that the wake-up names, so a wake-up too many does nothing.
A job whose worker died is due again when its lease has run out.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

from local.connect import connect
from local.events import schedule_event, wake_up_event
from local.runtime import Handler
from local.template import Template
from safelight import telemetry
from safelight.config import Misconfigured, settings
from safelight.jobs.due import SOME
from safelight.sandboxes import watch

log = logging.getLogger("local.worker")

POLL_SECONDS = 0.1
"""Between looks at the table: what an upload waits on average is half of it."""
FIRST_TICK_SECONDS = 1.0
"""After the start, so that what a crash left is swept at once."""
WAKE_AGAIN_SECONDS = 2.0
"""Before a handler that failed is woken again."""


@dataclass
class Worker:
    """Runs a template's job handlers and schedules. `concurrency` is jobs at a time for each function."""

    template: Template
    database_url: str
    bucket: str
    concurrency: int = 2
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        functions = self.template.functions()
        self._kinds = self.template.workers()
        self._ticks = {tick.name: (tick, time.monotonic() + FIRST_TICK_SECONDS) for tick in self.template.schedules()}
        names = {*self._kinds.values(), *(tick.function for tick, _ in self._ticks.values())}
        self._handlers = {name: Handler(functions[name], concurrency=self.concurrency) for name in names}
        self._ticking: dict[str, Future[Any]] = {}
        self._working: dict[str, list[Future[Any]]] = {name: [] for name in self._kinds.values()}
        self._not_before: dict[str, float] = {}
        self._connection: Connection | None = None

    def run(self) -> None:
        """Work until `stopping` is set, then finish what runs."""
        for handler in self._handlers.values():
            handler.load()
        log.info("ready for %s", ", ".join(sorted([*self._kinds, *self._ticks])))
        while not self.stopping.wait(POLL_SECONDS):
            self.step()
        for handler in self._handlers.values():
            handler.close()
        self._disconnect()

    def step(self) -> None:
        """Collect what has ended, start what is due."""
        for name in [name for name, future in self._ticking.items() if future.done()]:
            _failed(name, self._ticking.pop(name))
        now = time.monotonic()
        for name, (tick, at) in self._ticks.items():
            if now >= at and name not in self._ticking:
                self._ticks[name] = (tick, now + tick.seconds)
                self._ticking[name] = self._handlers[tick.function].start(schedule_event(name))
        for function, working in self._working.items():
            ended = [future for future in working if future.done()]
            self._working[function] = [future for future in working if future not in ended]
            failures = sum(_failed(function, future) for future in ended)
            if failures:
                self._not_before[function] = now + WAKE_AGAIN_SECONDS
        # Each function has room of its own, as on Lambda: a slow kind holds up no other.
        free = [kind for kind, function in self._kinds.items() if self._room(function, now) > 0]
        for job_id, kind in self._due(free) if free else []:
            function = self._kinds[kind]
            if self._room(function, now) > 0:
                event = wake_up_event(self.bucket, f"jobs/{kind}/{job_id}")
                self._working[function].append(self._handlers[function].start(event))

    def _room(self, function: str, now: float) -> int:
        """How many more wake-ups the function may get."""
        return self.concurrency - len(self._working[function]) if now >= self._not_before.get(function, 0) else 0

    def _due(self, kinds: list[str]) -> list[tuple[str, str]]:
        """Ids and kinds of due jobs, as many of each kind as can be run; none while the database is away."""
        try:
            if self._connection is None:
                self._connection = connect(self.database_url)
            rows = self._connection.run(SOME, kinds=kinds, most=self.concurrency)
        except (InterfaceError, DatabaseError, OSError) as error:
            log.warning("the jobs table cannot be read, trying again: %s", telemetry.kind(error))
            self._disconnect()
            self.stopping.wait(1)
            return []
        return [(str(job_id), kind) for job_id, kind in rows]

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (InterfaceError, OSError):
                log.debug("the connection was closed by the other end")


def _failed(name: str, future: Future[Any]) -> bool:
    """Whether a handler's run failed: it raised, or it reports messages that are to be delivered again."""
    error = future.exception()
    if error is not None:
        log.error("%s failed: %s", name, telemetry.outline(error))
        return True
    answer = future.result()
    return isinstance(answer, dict) and bool(answer.get("batchItemFailures"))


def report(stopping: threading.Event) -> None:
    """Prove the sandbox at the start, and report it until `stopping` is set: what /health and /metrics say."""
    while True:
        try:
            watch.report()
        except Exception as error:  # noqa: BLE001 - the thread must go on
            log.warning("the sandbox cannot be reported, trying again: %s", telemetry.kind(error))
        if stopping.wait(watch.RENEW_SECONDS):
            return


def main() -> None:
    """Run the workers of a template until SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--template", type=Path, default=Path("template.yaml"))
    parser.add_argument("--concurrency", type=int, default=max(1, min(4, os.cpu_count() or 1)))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    telemetry.logger()  # before the first line of the product's: its fields say why
    try:
        settings()
    except Misconfigured as error:
        sys.exit(str(error))
    worker = Worker(
        Template(arguments.template), os.environ["DATABASE_URL"], os.environ["BUCKET"], arguments.concurrency
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stopping.set())
    threading.Thread(target=report, args=(worker.stopping,), name="sandbox report", daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
