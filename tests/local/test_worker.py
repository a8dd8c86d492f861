"""The worker wakes the handler of each kind while jobs of it are due, and ticks."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from pg8000.native import Connection

from local import worker as module
from local.connect import connect
from local.runtime import load
from local.template import Template
from local.worker import Worker
from safelight.config import Settings

SITE = Template(Path(__file__).parent / "site" / "template.yaml")


@pytest.fixture
def database(bucket_settings: Settings) -> Iterator[Connection]:
    connection = connect(bucket_settings.database_url.get_secret_value())
    yield connection
    connection.close()


@pytest.fixture
def running(bucket_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Worker]]:
    """Starts a worker in a thread; it is stopped at the end."""
    monkeypatch.setattr(module, "WAKE_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(module, "FIRST_TICK_SECONDS", 0.0)
    started: list[tuple[Worker, threading.Thread]] = []

    def start() -> Worker:
        worker = Worker(SITE, bucket_settings.database_url.get_secret_value(), bucket_settings.bucket)
        thread = threading.Thread(target=worker.run)
        thread.start()
        started.append((worker, thread))
        return worker

    yield start
    for worker, thread in started:
        worker.stopping.set()
        thread.join(10)
        assert not thread.is_alive()


def enqueue(database: Connection, kind: str = "work", **columns: Any) -> str:
    job_id = str(uuid.uuid4())
    job = {"id": job_id, "kind": kind, "subject_id": str(uuid.uuid4()), **columns}
    names = ", ".join(job)
    database.run(f"INSERT INTO jobs ({names}) VALUES ({', '.join(f':{name}' for name in job)})", **job)
    return job_id


def state(database: Connection, job_id: str) -> tuple[str, int]:
    status, attempts = database.run("SELECT status, attempts FROM jobs WHERE id = :id", id=job_id)[0]
    return status, attempts


def wait_for(database: Connection, job_id: str, expected: tuple[str, int]) -> None:
    end = time.monotonic() + 10
    while state(database, job_id) != expected:
        assert time.monotonic() < end, state(database, job_id)
        time.sleep(0.02)


def test_due_jobs_reach_their_handler_once(database: Connection, running: Callable[[], Worker]) -> None:
    jobs = [enqueue(database) for _ in range(5)]
    other = enqueue(database, kind="unknown")
    later = enqueue(database, run_after="2999-01-01")
    held = enqueue(database, status="running", lease_until="2999-01-01")
    running()
    for job in jobs:
        wait_for(database, job, ("completed", 1))
    assert [state(database, job) for job in (other, later, held)] == [("queued", 0), ("queued", 0), ("running", 0)]


def test_a_job_whose_worker_died_is_run_again_when_its_lease_has_run_out(
    database: Connection, running: Callable[[], Worker]
) -> None:
    job = enqueue(database, status="running", lease_until="2020-01-01", attempts=1)
    running()
    wait_for(database, job, ("completed", 2))


def test_a_handler_that_fails_is_asked_again(database: Connection, running: Callable[[], Worker]) -> None:
    job = enqueue(database, payload='{"failures": 2}')
    running()
    wait_for(database, job, ("completed", 3))


def test_schedules_tick_at_the_start(database: Connection, running: Callable[[], Worker]) -> None:
    ticks = load(SITE.functions()["Tick"]).events
    ticks.clear()
    running()
    wait_for(database, enqueue(database), ("completed", 1))
    end = time.monotonic() + 5
    while not ticks and time.monotonic() < end:
        time.sleep(0.02)
    assert [(tick["source"], tick["detail-type"]) for tick in ticks] == [("aws.scheduler", "Scheduled Event")]


def test_it_waits_for_a_database_that_is_away(database: Connection, running: Callable[[], Worker]) -> None:
    job = enqueue(database, run_after="2999-01-01")
    worker = running()
    wait_for(database, enqueue(database), ("completed", 1))
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'local worker' AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    database.run("UPDATE jobs SET run_after = now() WHERE id = :id", id=job)
    wait_for(database, job, ("completed", 1))
    assert not worker.stopping.is_set()


def test_many_jobs_of_one_kind_hide_none_of_another(
    database: Connection, bucket_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor take its room: each function has its own."""
    many = [enqueue(database, run_after="2020-01-01") for _ in range(50)]
    late = enqueue(database, kind="late")
    worker = Worker(SITE, bucket_settings.database_url.get_secret_value(), bucket_settings.bucket, concurrency=2)
    (function,) = worker._handlers.keys() & set(worker._kinds.values())
    slow, quick = _Handler(), _Handler()
    monkeypatch.setattr(worker, "_kinds", {"work": function, "late": "Quick"})
    monkeypatch.setattr(worker, "_handlers", {function: slow, "Quick": quick})
    monkeypatch.setattr(worker, "_working", {function: [], "Quick": []})
    monkeypatch.setattr(worker, "_ticks", {})
    for _ in range(3):
        worker.step()
    assert len(slow.events) == 2
    # Its handler takes nothing, so the job stays due, and each look wakes one more until there is no room.
    assert [late in str(event) for event in quick.events] == [True, True]
    assert sum(job in str(slow.events) for job in many) == 2
    worker._disconnect()


@pytest.mark.parametrize("ended", ["raised", "reported"])
def test_a_handler_that_fails_is_not_woken_again_at_once(
    database: Connection, bucket_settings: Settings, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """Its job is still due, and each look at the table would wake it for that."""
    enqueue(database)
    worker = Worker(SITE, bucket_settings.database_url.get_secret_value(), bucket_settings.bucket, concurrency=1)
    (function,) = set(worker._kinds.values())
    failing = _Handler()
    monkeypatch.setattr(worker, "_handlers", {function: failing})
    monkeypatch.setattr(worker, "_ticks", {})
    worker.step()
    [future] = worker._working[function]
    if ended == "raised":
        future.set_exception(ConnectionError())
    else:
        future.set_result({"batchItemFailures": [{"itemIdentifier": "one"}]})
    for _ in range(3):
        worker.step()
    assert len(failing.events) == 1
    worker._not_before.clear()  # as if the pause had passed
    worker.step()
    assert len(failing.events) == 2
    worker._disconnect()


class _Handler:
    """Takes events and never ends."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def start(self, event: dict[str, Any]) -> Future[Any]:
        self.events.append(event)
        return Future()
