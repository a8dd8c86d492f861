"""Archives built into the bucket: the same bytes as the streamed ones, whatever happens on the way."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2 as httpx
import pytest
from sqlalchemy import text

from safelight import storage
from safelight.archives import build
from safelight.config import settings
from safelight.db.engine import transaction
from safelight.sweep import run as sweep
from tests.api import client
from tests.claims import build_part, held
from tests.core.archives.building import MIB, due, make_everything_due, streamed

pytestmark = pytest.mark.usefixtures("api")


def test_parallel_jobs_build_what_would_have_been_streamed(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = client()
    assert visitor.head(share).status_code == 202
    assert due() == []  # looking begins nothing
    begun = visitor.get(share)
    assert begun.status_code == 202
    assert begun.headers["retry-after"] == "3"
    assert (begun.json()["status"], begun.json()["progress"]) == ("building", 0.0)
    assert visitor.get(share).status_code == 202  # the second visitor waits for the same archive
    parts = due()
    assert len(parts) == 4

    build_part(parts[0])
    assert visitor.get(share).json()["progress"] == 0.25
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(build_part, [*parts[1:], *parts]))  # wake-ups come twice

    head = visitor.head(share)
    answer = visitor.get(share)
    assert answer.status_code == 307
    built = httpx.get(answer.headers["location"])
    assert "Large.zip" in built.headers["content-disposition"]
    some = httpx.get(answer.headers["location"], headers={"Range": "bytes=1000000-1000099"})
    assert some.status_code == 206
    assert some.content == built.content[1000000:1000100]
    assert int(head.headers["content-length"]) == len(built.content)
    assert built.content == streamed(share, monkeypatch)


def test_a_job_that_died_on_the_way_is_done_again(share: str) -> None:
    visitor = client()
    visitor.get(share)
    [victim, *others] = due()
    held(victim)  # and its worker dies here
    for job_id in others:
        build_part(job_id)
    assert visitor.get(share).status_code == 202
    make_everything_due()
    build_part(victim)
    assert visitor.get(share).status_code == 307


def test_an_archive_made_but_not_recorded_is_found(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = client()
    visitor.get(share)
    parts = due()
    complete = storage.multipart().complete

    def dies_afterwards(*arguments: object) -> None:
        complete(*arguments)  # type: ignore[arg-type]  # passed on as they came
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(storage.multipart(), "complete", dies_afterwards)
        for job_id in parts:
            build_part(job_id)
    assert visitor.get(share).status_code == 202
    make_everything_due()
    for job_id in due():
        build_part(job_id)
    assert visitor.get(share).status_code == 307


def test_a_missing_photo_ends_the_archive_and_says_which(share: str, caplog: pytest.LogCaptureFixture) -> None:
    visitor = client()
    visitor.get(share)
    with transaction() as session:
        key = session.execute(text("SELECT s3_key FROM photos WHERE filename = '5.jpg'")).scalar_one()
    storage.storage().delete([key])
    for job_id in due():
        build_part(job_id)
    answer = visitor.get(share)
    assert (answer.status_code, answer.json()["code"]) == (409, "archive_not_built")
    assert any(getattr(record, "photo", "") == "5.jpg" for record in caplog.records)
    assert list(storage.multipart().uploads("archives/")) == []
    assert not any(key.endswith(".zip") for key in storage.storage().keys("archives/"))


def test_an_archive_that_the_bucket_forgot_is_built_again(share: str) -> None:
    visitor = client()
    for _ in range(2):
        assert visitor.get(share).status_code == 202
        for job_id in due():
            build_part(job_id)
        assert visitor.get(share).status_code == 307
        storage.storage().delete([key for key in storage.storage().keys("archives/") if key.endswith(".zip")])


def test_two_hundred_visitors_begin_one_archive(share: str) -> None:
    barrier = threading.Barrier(8)

    def visit(_: int) -> set[int]:
        visitor = client()
        barrier.wait(10)
        return {visitor.get(share).status_code for _ in range(25)}

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(visit, range(8))) == {202}
    assert len(due()) == 4
    sweep()  # throws away what the losers began
    assert len(list(storage.multipart().uploads("archives/"))) == 1


def test_the_sweep_deletes_archives_nobody_wants(share: str) -> None:
    client().get(share)
    for job_id in due():
        build_part(job_id)
    with transaction() as session:
        session.execute(text("UPDATE archives SET used_at = now() - interval '8 days'"))
    assert sweep().archives == 1
    assert list(storage.storage().keys("archives/")) == []


@pytest.mark.parametrize(
    ("size", "smallest", "expected"),
    [
        (1, 5 * MIB, 5 * MIB),
        (20 * 1024 * MIB, 64 * MIB, 80 * MIB),
        (10**12, 64 * MIB, 1024 * MIB),
        (2 * 10**13, 64 * MIB, 1908 * MIB),
    ],
)
def test_parts_are_never_too_many(size: int, smallest: int, expected: int) -> None:
    assert build.part_size(size, smallest) == expected
    assert size <= 10_000 * expected


def test_settings_reach_the_builder(share: str) -> None:
    assert share.startswith("/s/")
    assert settings().archive_part_size == 5 * MIB
