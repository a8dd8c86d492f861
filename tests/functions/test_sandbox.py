"""What becomes of photos, /health and /metrics where decoders cannot be confined, and where a file breaks out."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from safelight.pictures import child, faces
from safelight.pictures.environment import environment
from safelight.pictures.errors import SandboxUnavailable, SandboxViolation
from safelight.sandbox.nursery import Nursery
from safelight.sandboxes import reports, watch
from safelight.telemetry import logger
from tests.api import Photographer, client, jpeg, run_jobs
from tests.core.sandbox import faulty
from tests.functions.access import administrator
from tests.functions.support import sql

pytestmark = [
    pytest.mark.usefixtures("api"),
    pytest.mark.skipif("sys.platform != 'linux'", reason="the sandbox is Linux's"),
]

WORKER = f"{socket.gethostname()}:{os.getpid()}"
REASON = "the filter does not hold for: sockets"


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """A machine on which the sandbox cannot be proved, until the test ends or undoes it."""
    home = faulty.nursery("makes sockets")
    monkeypatch.setattr(child, "NURSERY", home)
    yield home
    home.close()


def job(subject: str) -> tuple[Any, ...]:
    [found] = sql("SELECT status, attempts, error, run_after > now() FROM jobs WHERE subject_id = :id", id=subject)
    return found


def due_now() -> None:
    sql("UPDATE jobs SET run_after = now() WHERE status = 'queued'")


def metrics(name: str) -> list[str]:
    answer = administrator().call("GET", "/metrics")
    assert answer.status_code == 200
    return [line for line in answer.text.splitlines() if line.startswith(name)]


def test_a_photo_waits_without_using_up_its_attempts_and_goes_on_by_itself(
    missing: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = Photographer.registered()
    photo = anna.upload(anna.gallery()["id"], jpeg())
    for _ in range(7):  # more often than a job may fail
        due_now()
        assert run_jobs() == 1
        assert job(photo) == ("queued", 0, REASON, True)
        assert anna.photo(photo)["status"] == "processing"
    monkeypatch.undo()
    due_now()
    assert run_jobs() == 1
    assert anna.photo(photo)["status"] == "ready"
    assert job(photo)[:2] == ("completed", 1)
    assert missing.refusal == REASON


def test_a_search_for_faces_waits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo = anna.upload(anna.gallery()["id"], jpeg())
    run_jobs()
    home = faulty.nursery("makes sockets")
    with monkeypatch.context() as broken:
        broken.setattr(faces, "NURSERY", home)
        searched = anna.call("POST", "/analyses", json={"photo_id": photo}).json()["id"]
        for _ in range(7):
            due_now()
            run_jobs()
        assert job(searched) == ("queued", 0, REASON, True)
        assert client().get("/health").json()["sandbox"] == "missing"
    home.close()
    due_now()
    run_jobs()
    assert anna.call("GET", f"/analyses/{searched}").json()["status"] == "ready"


def test_a_gallery_that_is_made_again_waits_at_the_photo_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    boss = administrator()
    gallery = boss.gallery()["id"]
    boss.upload(gallery, jpeg())
    run_jobs()
    begun = boss.call("POST", f"/admin/galleries/{gallery}/reprocess", json={"what": "renditions"}).json()["id"]
    home = faulty.nursery("makes sockets")
    with monkeypatch.context() as broken:
        broken.setattr(child, "NURSERY", home)
        for _ in range(7):
            due_now()
            run_jobs()
        assert job(begun)[:3] == ("queued", 0, REASON)
        shown = boss.call("GET", f"/admin/reprocessings/{begun}").json()
        assert (shown["status"], shown["done"], shown["failed"]) == ("running", 0, 0)
    home.close()
    due_now()
    run_jobs()
    assert boss.call("GET", f"/admin/reprocessings/{begun}").json()["status"] == "completed"


def test_health_and_metrics_say_that_it_is_missing_and_why(missing: Nursery) -> None:
    assert client().get("/health").json()["sandbox"] == "unknown"
    watch.report()
    answer = client().get("/health")
    assert answer.status_code == 503
    assert answer.json() | {"version": ""} == {
        "status": "unavailable", "version": "", "database": "ok", "sandbox": "missing",
        "detail": f"Photos wait, because the processes that open them cannot be confined: {REASON}.",
    }  # fmt: skip
    assert metrics("safelight_sandbox_ok") == [f'safelight_sandbox_ok{{worker="{WORKER}",state="missing"}} 0']
    missing.close()


def test_a_worker_whose_sandbox_holds_says_so() -> None:
    watch.report()
    answer = client().get("/health")
    assert (answer.status_code, answer.json()["sandbox"], answer.json()["detail"]) == (200, "ok", None)
    assert metrics("safelight_sandbox_ok") == [f'safelight_sandbox_ok{{worker="{WORKER}",state="ok"}} 1']


def test_a_search_for_faces_that_cannot_be_confined_counts_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    home = faulty.nursery("makes sockets")
    home.refusal = "it failed before"
    monkeypatch.setattr(faces, "NURSERY", home)
    watch.report()
    assert REASON in client().get("/health").json()["detail"]
    monkeypatch.setattr(faces, "NURSERY", Nursery("safelight.pictures.cascade", environment))
    faces.NURSERY.refusal = "it failed before"
    watch.report()
    assert client().get("/health").json()["sandbox"] == "ok"
    faces.NURSERY.close()


def test_a_worker_that_does_not_start_its_decoders_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "NURSERY", faulty.nursery("is not there"))
    watch.report()
    assert "does not start" in client().get("/health").json()["detail"]


def test_a_report_that_expired_says_nothing(missing: Nursery) -> None:
    watch.report()
    sql("UPDATE sandbox_reports SET expires_at = now()")
    answer = client().get("/health")
    assert (answer.status_code, answer.json()["sandbox"]) == (200, "unknown")
    assert metrics("safelight_sandbox_ok") == []
    assert metrics("safelight_sandbox_violations_total") == [
        f'safelight_sandbox_violations_total{{worker="{WORKER}"}} 0'
    ]
    assert missing.refusal


def test_one_worker_that_lacks_it_is_enough() -> None:
    watch.report()
    sql(
        "INSERT INTO sandbox_reports (worker, state, reason, expires_at)"
        " VALUES ('other \"one\"', 'missing', 'seccomp: no', now() + interval '1 minute')"
    )
    answer = client().get("/health")
    assert (answer.status_code, answer.json()["sandbox"]) == (503, "missing")
    assert "seccomp: no." in answer.json()["detail"]
    assert 'safelight_sandbox_ok{worker="other \\"one\\"",state="missing"} 0' in metrics("safelight_sandbox_ok")


def test_a_file_that_breaks_out_fails_once_and_is_logged_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Nursery("tests.core.sandbox.hostile", environment)
    monkeypatch.setattr(child, "NURSERY", home)
    handler = logger().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    try:
        anna = Photographer.registered()
        photo = anna.upload(anna.gallery()["id"], jpeg() + b"|another program")
        assert run_jobs() == 1
    finally:
        handler.setStream(before or io.StringIO())
        home.close()
    shown = anna.photo(photo)
    assert shown["status"] == "failed"
    assert re.search(r"so it was stopped\. Export it again", shown["failure_reason"])
    assert job(photo)[:2] == ("failed", 1), "an attempt to break out is not tried again"
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    [violation] = [line for line in lines if line["message"] == "sandbox_violation"]
    assert (violation["level"], violation["photo_id"]) == ("ERROR", photo)
    assert metrics("safelight_sandbox_violations_total") == [
        f'safelight_sandbox_violations_total{{worker="{WORKER}"}} 1'
    ]


def test_violations_add_up_and_old_workers_are_forgotten() -> None:
    from safelight.db.engine import transaction

    name = uuid.uuid4().hex
    for _ in range(3):
        with transaction() as session:
            reports.count_violation(session, name, "ok")
    with transaction() as session:
        [found] = [one for one in reports.everything(session) if one.worker == name]
        assert (found.violations, found.fresh) == (3, False)
        reports.forget(session)
        assert [one.worker for one in reports.everything(session)] == [name]
    sql("UPDATE sandbox_reports SET expires_at = now() - interval '31 days'")
    with transaction() as session:
        reports.forget(session)
        assert reports.everything(session) == []


def test_on_lambda_a_missing_sandbox_is_a_metric_and_a_report_that_lasts_until_the_next_sweep(
    missing: Nursery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safelight.config import settings

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "safelight-process-photo")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Safelight")
    settings.cache_clear()
    anna = Photographer.registered()
    photo = anna.upload(anna.gallery()["id"], jpeg())
    run_jobs()
    [found] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert found["SandboxOk"] == [0.0]
    assert job(photo)[:2] == ("queued", 0)
    assert sql("SELECT worker, state, expires_at > now() + interval '5 minutes' FROM sandbox_reports") == [
        ("safelight-process-photo", "missing", True)
    ]
    assert missing.refusal
    monkeypatch.undo()
    settings.cache_clear()


def test_on_lambda_the_platform_is_the_wall_and_metrics_go_to_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safelight.config import settings

    monkeypatch.setenv("SANDBOX", "platform")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "safelight-process-photo")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Safelight")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "process_photo")
    settings.cache_clear()
    home = Nursery("tests.core.sandbox.hostile", environment)
    monkeypatch.setattr(child, "NURSERY", home)
    monkeypatch.setattr(faces.NURSERY, "required", faces.NURSERY.required)
    anna = Photographer.registered()
    anna.upload(anna.gallery()["id"], jpeg() + b"|another program")
    run_jobs()
    home.close()
    assert not home.required
    emitted = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    [found] = [json.loads(line) for line in emitted]
    assert found["SandboxViolations"] == [1.0]
    assert found["service"] == "process_photo"
    assert found["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Safelight"
    watch.report()
    assert client().get("/health").json()["sandbox"] == "platform"
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def no_table(api: None) -> Iterator[None]:  # noqa: ARG001 - its database
    """The time between a deploy and its migration."""
    sql("ALTER TABLE sandbox_reports RENAME TO sandbox_reports_later")
    yield
    sql("ALTER TABLE sandbox_reports_later RENAME TO sandbox_reports")


@pytest.mark.usefixtures("no_table")
def test_before_the_table_is_there_health_knows_nothing_and_is_well() -> None:
    answer = client().get("/health")
    assert (answer.status_code, answer.json()["database"], answer.json()["sandbox"]) == (200, "ok", "unknown")


@pytest.mark.usefixtures("no_table")
@pytest.mark.parametrize("raised", [SandboxViolation(), SandboxUnavailable("no filter")])
def test_a_report_that_fails_hides_no_finding(raised: Exception) -> None:
    def call() -> None:
        raise raised

    with pytest.raises(type(raised)) as found:
        watch.watched(call)()
    assert found.value is raised


def test_the_thread_that_reports_survives_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from local import worker

    stopping, tried = threading.Event(), []

    def report() -> None:
        tried.append(1)
        if len(tried) == 3:
            stopping.set()
        raise RuntimeError("the text of this error is not logged")

    monkeypatch.setattr(watch, "report", report)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 0.01)
    worker.report(stopping)
    assert len(tried) == 3


def test_off_lambda_a_missing_sandbox_is_reported_for_a_minute(missing: Nursery) -> None:
    anna = Photographer.registered()
    anna.upload(anna.gallery()["id"], jpeg())
    run_jobs()
    query = "SELECT worker, state, expires_at < now() + interval '2 minutes' FROM sandbox_reports"
    assert sql(query) == [(WORKER, "missing", True)]
    assert missing.refusal
