"""Analyses: of photos and of files sent for it, whatever happens meanwhile."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections import Counter
from typing import Any

import pytest
from PIL import Image

from functions.analyse_photo.app import handler as measured
from functions.find_faces.app import handler as searched
from safelight.analyses import limits, processing
from safelight.analyses.service import search_again
from safelight.config import MAX_PHOTO_BYTES
from safelight.db.engine import transaction
from safelight.pictures import child
from safelight.pictures.errors import PicturesUnavailable, UnreadablePicture
from safelight.pictures.types import Rendered
from safelight.queue import Queue
from safelight.storage import storage
from safelight.sweep import NEVER_ARRIVED
from safelight.sweep import run as sweep
from tests import product
from tests.api import Photographer, post_form, run_jobs, sqs_event
from tests.core.pictures import samples
from tests.core.pictures.drawn import portrait
from tests.functions.support import in_parallel, problem, same, sql

pytestmark = pytest.mark.usefixtures("shared_api")

FINE: dict[str, Any] = {"batchItemFailures": []}
PORTRAIT = samples.encode(portrait((300, 200, 360)), "JPEG", quality=85)


def ready_photo(anna: Photographer, data: bytes | None = None) -> str:
    photo_id = anna.upload(anna.gallery()["id"], data)
    run_jobs()
    assert anna.photo(photo_id)["status"] == "ready"
    return photo_id


def asked(anna: Photographer, **body: Any) -> dict[str, Any]:
    answer = anna.call("POST", "/analyses", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def shown(anna: Photographer, analysis_id: str) -> dict[str, Any]:
    answer = anna.call("GET", f"/analyses/{analysis_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return found


def announced(anna: Photographer, data: bytes, **changed: Any) -> dict[str, Any]:
    body = {"filename": "test.jpg", "content_type": "image/jpeg", "file_size": len(data), **changed}
    return asked(anna, **body)


def sent(anna: Photographer, data: bytes, **changed: Any) -> str:
    made = announced(anna, data, **changed)
    assert post_form(made["upload"], data).status_code == 204
    answer = anna.call("POST", f"/analyses/{made['id']}/complete")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "processing"
    return str(made["id"])


def age(analysis_id: str, minutes: int) -> None:
    sql(
        "UPDATE analyses SET created_at = created_at - make_interval(mins => :minutes),"
        " updated_at = updated_at - make_interval(mins => :minutes) WHERE id = :id",
        id=analysis_id, minutes=minutes,
    )  # fmt: skip


def test_two_hundred_parallel_requests_have_a_hundred_files_waiting() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    photo_id = ready_photo(anna)
    body = {"filename": "test.jpg", "content_type": "image/jpeg", "file_size": 1000}
    answers = in_parallel(200, lambda _: anna.call("POST", "/analyses", json=body))
    assert Counter(answer.status_code for answer in answers) == {201: 100, 409: 100}
    refused = next(answer for answer in answers if answer.status_code == 409)
    told = problem(refused, 409, "too_many_waiting")["detail"]
    assert told.startswith("100 files of the account wait for their upload or their analysis")
    # Photos and other accounts are not in the way, and neither is what has ended.
    asked(anna, photo_id=photo_id)
    announced(ben, PORTRAIT)
    waiting = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    for status, one in zip(("processing", "ready", "failed"), waiting, strict=False):
        sql("UPDATE analyses SET status = :status WHERE id = :id", status=status, id=one)
    assert [anna.call("POST", "/analyses", json=body).status_code for _ in range(3)] == [201, 201, 409]
    anna.call("DELETE", f"/analyses/{waiting[0]}")
    announced(anna, PORTRAIT)


def test_files_that_are_deleted_or_fail_make_no_room_for_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANNOUNCED", dataclasses.replace(limits.ANNOUNCED, tries=4))
    anna, ben = Photographer.registered(), Photographer.registered()
    photo_id = ready_photo(anna)
    for number in range(4):
        made = sent(anna, b"no picture")
        if number % 2:
            assert anna.call("DELETE", f"/analyses/{made}").status_code == 204
        run_jobs()
    body = {"filename": "test.jpg", "content_type": "image/jpeg", "file_size": 10}
    refused = anna.call("POST", "/analyses", json=body)
    problem(refused, 429, "too_many_requests")
    assert int(refused.headers["retry-after"]) > 0
    asked(anna, photo_id=photo_id)
    announced(ben, PORTRAIT)


def test_every_ready_photo_has_its_analysis_and_faces_when_asked() -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna, PORTRAIT)
    [listed] = anna.call("GET", "/analyses").json()["items"]
    assert (listed["photo_id"], listed["status"], listed["result"]["faces"]) == (photo_id, "ready", None)
    assert asked(anna, photo_id=photo_id, faces=False)["id"] == listed["id"]
    assert run_jobs() == 0

    waiting = asked(anna, photo_id=photo_id)
    assert (waiting["id"], waiting["status"], waiting["upload"]) == (listed["id"], "processing", None)
    assert waiting["result"]["sharpness"] == listed["result"]["sharpness"]
    assert asked(anna, photo_id=photo_id)["status"] == "processing"
    assert run_jobs() == 1
    done = shown(anna, listed["id"])
    assert (done["status"], done["error"]) == ("ready", None)
    [face] = done["result"]["faces"]
    # Drawn around (480, 400) of 1600 x 1067, 360 px high.
    assert face["x"] < 480 / 1600 < face["x"] + face["width"]
    assert face["y"] < 400 / 1067 < face["y"] + face["height"]
    assert 0.1 < face["width"] < 0.3
    assert asked(anna, photo_id=photo_id)["status"] == "ready"
    assert run_jobs() == 0


def test_an_upload_is_analysed_and_its_file_not_kept() -> None:
    anna = Photographer.registered()
    analysis_id = sent(anna, PORTRAIT)
    assert storage().head(f"analyses/{analysis_id}/upload")
    assert run_jobs() == 2
    done = shown(anna, analysis_id)
    assert (done["status"], done["photo_id"], done["filename"]) == ("ready", None, "test.jpg")
    assert len(done["result"]["faces"]) == 1
    assert done["completed_at"]
    assert anna.call("POST", f"/analyses/{analysis_id}/complete").json() == done
    sweep()
    assert list(storage().keys(f"analyses/{analysis_id}")) == []
    assert shown(anna, analysis_id) == done


def test_the_same_picture_has_the_same_figures_as_photo_and_as_upload() -> None:
    anna = Photographer.registered()
    data = samples.jpeg(1200, 800)
    ready_photo(anna, data)
    upload_id = sent(anna, data, faces=False)
    assert run_jobs() == 1
    photo = anna.call("GET", "/analyses").json()["items"][1]
    assert photo["photo_id"]
    assert shown(anna, upload_id)["result"] == photo["result"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"filename": "a.jpg", "content_type": "image/jpeg", "file_size": MAX_PHOTO_BYTES + 1}, 413, "too_large"),
        ({"filename": "a.svg", "content_type": "image/svg+xml", "file_size": 10}, 415, "unsupported_type"),
        ({"filename": "a.jpg", "content_type": "image/jpeg"}, 422, "invalid"),
        ({"photo_id": "x"}, 422, "invalid"),
        ({}, 422, "invalid"),
        ({"photo_id": str(uuid.uuid4()), "filename": "a.jpg"}, 422, "invalid"),
        ({"photo_id": str(uuid.uuid4())}, 404, "not_found"),
    ],
)
def test_what_cannot_be_analysed_is_refused(body: dict[str, Any], status: int, code: str) -> None:
    anna = Photographer.registered()
    problem(anna.call("POST", "/analyses", json=body), status, code)
    assert anna.call("GET", "/analyses").json()["items"] == []


def test_a_photo_that_is_not_ready_is_analysed_by_itself_later() -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"])
    problem(anna.call("POST", "/analyses", json={"photo_id": photo_id}), 409, "photo_not_ready")
    run_jobs()
    assert asked(anna, photo_id=photo_id, faces=False)["status"] == "ready"


def test_complete_waits_for_the_bytes() -> None:
    anna = Photographer.registered()
    made = announced(anna, PORTRAIT)
    assert (made["status"], made["result"]) == ("pending", None)
    problem(anna.call("POST", f"/analyses/{made['id']}/complete"), 409, "not_uploaded")
    assert anna.call("DELETE", f"/analyses/{made['id']}").status_code == 204
    problem(anna.call("POST", f"/analyses/{made['id']}/complete"), 404, "not_found")


def test_bad_uploads_fail_with_a_reason() -> None:
    anna = Photographer.registered()
    whole = samples.jpeg()
    bad = {"cut off": whole[: len(whole) // 2], "no picture": b"hello" * 50, "an SVG": b"<svg>" + b" " * 200}
    ids = {name: sent(anna, data, faces=False) for name, data in bad.items()}
    changed = announced(anna, whole)
    storage().write(f"analyses/{changed['id']}/upload", whole + b"more", "image/jpeg")
    anna.call("POST", f"/analyses/{changed['id']}/complete")
    assert run_jobs() == 4
    for name, analysis_id in [*ids.items(), ("changed", changed["id"])]:
        done = shown(anna, analysis_id)
        assert (done["status"], done["result"]) == ("failed", None), name
        assert done["error"].endswith("."), name
        assert done["completed_at"]
    assert run_jobs() == 0


@pytest.mark.parametrize(
    "data",
    [
        samples.encode(Image.new("RGB", (1, 1), "red"), "PNG"),
        samples.encode(Image.new("RGB", (2, 3000), "white"), "PNG"),
        samples.encode(Image.new("L", (400, 300), 128), "PNG"),
        samples.encode(Image.new("I;16", (400, 300), 40_000), "PNG"),
        samples.encode(Image.new("RGB", (800, 600)), "PNG"),
        samples.encode(Image.new("RGBA", (50, 60), (9, 200, 30, 0)), "PNG"),
    ],
    ids=["one pixel", "a line", "gray", "16 bits", "black", "clear"],
)
def test_odd_pictures_have_figures_and_never_nan(data: bytes) -> None:
    anna = Photographer.registered()
    analysis_id = sent(anna, data, content_type="image/png", filename="odd.png")
    assert run_jobs() == 2
    done = shown(anna, analysis_id)
    assert (done["status"], done["error"], done["result"]["faces"]) == ("ready", None, [])
    assert sum(one["share"] for one in done["result"]["palette"]) == pytest.approx(1, abs=0.001)


def test_pages_in_order_by_status_and_nobody_elses() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    made = [announced(anna, PORTRAIT)["id"] for _ in range(7)]
    announced(ben, PORTRAIT)
    sql("UPDATE analyses SET status = 'failed', error = 'x.' WHERE id = :id", id=made[3])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = anna.call("GET", "/analyses", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    assert [one["id"] for one in anna.call("GET", "/analyses?status=failed").json()["items"]] == [made[3]]
    for bad in ("status=gone", "cursor=x", "limit=0"):
        problem(anna.call("GET", f"/analyses?{bad}"), 422, "invalid")


def test_an_analysis_known_to_the_client_is_not_sent_again() -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna)
    path = f"/analyses/{asked(anna, photo_id=photo_id, faces=False)['id']}"
    first = anna.call("GET", path)
    again = anna.call("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    asked(anna, photo_id=photo_id)
    assert anna.call("GET", path, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    run_jobs()


def test_foreign_is_missing_and_an_analysis_goes_with_its_photo_and_its_owner() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    photo_id, kept = ready_photo(anna), ready_photo(ben)
    analysis_id = asked(anna, photo_id=photo_id, faces=False)["id"]
    foreign = ben.call("POST", "/analyses", json={"photo_id": photo_id})
    assert same(foreign, ben.call("POST", "/analyses", json={"photo_id": str(uuid.uuid4())}))
    problem(foreign, 404, "not_found")
    assert anna.call("DELETE", f"/photos/{photo_id}").status_code == 204
    problem(anna.call("GET", f"/analyses/{analysis_id}"), 404, "not_found")
    assert anna.call("GET", "/analyses").json()["items"] == []
    sweep()
    assert sql("SELECT count(*) FROM analyses WHERE id = :id", id=analysis_id) == [(0,)]

    upload_id = announced(ben, PORTRAIT)["id"]
    storage().write(f"analyses/{upload_id}/upload", PORTRAIT, "image/jpeg")
    assert ben.call("DELETE", "/auth/me").status_code == 204
    sweep()
    sweep()
    assert sql("SELECT count(*) FROM analyses WHERE id = :id OR photo_id = :kept", id=upload_id, kept=kept) == [(0,)]
    assert list(storage().keys(f"analyses/{upload_id}")) == []


def test_a_deleted_analysis_is_made_anew_from_the_original() -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna)
    first = asked(anna, photo_id=photo_id, faces=False)
    assert anna.call("DELETE", f"/analyses/{first['id']}").status_code == 204
    second = asked(anna, photo_id=photo_id)
    assert second["id"] != first["id"]
    assert (second["status"], second["result"]) == ("processing", None)
    assert run_jobs() == 2
    done = shown(anna, second["id"])
    assert done["result"] | {"faces": None} == first["result"]
    assert done["result"]["faces"] == []


def test_a_damaged_original_fails_the_analysis_and_shows_at_the_photo() -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna)
    anna.call("DELETE", f"/analyses/{asked(anna, photo_id=photo_id, faces=False)['id']}")
    storage().delete([f"originals/{anna.photo(photo_id)['gallery_id']}/{photo_id}"])
    analysis_id = asked(anna, photo_id=photo_id, faces=False)["id"]
    assert run_jobs() == 1
    assert shown(anna, analysis_id)["status"] == "failed"
    assert "no longer in the storage" in shown(anna, analysis_id)["error"]
    photo = anna.photo(photo_id)
    assert (photo["status"], bool(photo["damaged_at"])) == ("ready", True)


def test_asking_at_once_starts_one_job() -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna)
    anna.call("DELETE", f"/analyses/{asked(anna, photo_id=photo_id, faces=False)['id']}")
    answers = in_parallel(8, lambda _: asked(anna, photo_id=photo_id), threads=8)
    assert len({one["id"] for one in answers}) == 1
    [jobs] = sql("SELECT count(*) FROM jobs WHERE subject_id = :id", id=answers[0]["id"])
    assert jobs == (1,)
    assert run_jobs() == 2


def test_a_photo_deleted_while_it_is_analysed_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna, PORTRAIT)
    analysis_id = asked(anna, photo_id=photo_id)["id"]

    def find_then_delete(_: bytes) -> list[dict[str, float]]:
        assert anna.call("DELETE", f"/photos/{photo_id}").status_code == 204
        with product.running("sweep"):
            sweep()
        return []

    monkeypatch.setattr("safelight.pictures.faces.find", find_then_delete)
    assert run_jobs() == 1
    assert sql("SELECT count(*) FROM analyses WHERE id = :id", id=analysis_id) == [(0,)]
    assert sql("SELECT status FROM jobs WHERE subject_id = :id", id=analysis_id) == [("completed",)]


def test_a_killed_worker_costs_an_attempt_and_a_poisonous_picture_is_given_up() -> None:
    anna = Photographer.registered()
    once, always = sent(anna, PORTRAIT, faces=False), sent(anna, PORTRAIT, faces=False)
    for analysis_id, attempts in ((once, 1), (always, 5)):
        sql(
            "UPDATE jobs SET status = 'running', attempts = :attempts, lease_until = now() - interval '1 second'"
            " WHERE subject_id = :id",
            id=analysis_id, attempts=attempts,
        )  # fmt: skip
    assert run_jobs() == 2
    assert shown(anna, once)["status"] == "ready"
    given_up = shown(anna, always)
    assert (given_up["status"], given_up["error"]) == ("failed", processing.GAVE_UP)


def test_an_overtaken_worker_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    analysis_id = sent(anna, PORTRAIT, faces=False)
    real = child.render

    def render_too_slowly(data: bytes, content_type: str) -> Rendered:
        monkeypatch.setattr(child, "render", real)
        sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE subject_id = :id", id=analysis_id)
        assert run_jobs() == 1
        sql('UPDATE analyses SET result = \'{"by": "the second"}\' WHERE id = :id', id=analysis_id)
        return real(data, content_type)

    monkeypatch.setattr(child, "render", render_too_slowly)
    assert run_jobs() == 1
    assert sql("SELECT result FROM analyses WHERE id = :id", id=analysis_id) == [({"by": "the second"},)]


def test_a_machine_that_cannot_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna)
    analysis_id = asked(anna, photo_id=photo_id)["id"]

    def unavailable(_: bytes) -> list[dict[str, float]]:
        raise PicturesUnavailable

    with monkeypatch.context() as patch:
        patch.setattr("safelight.pictures.faces.find", unavailable)
        for attempt in range(1, 6):
            sql("UPDATE jobs SET run_after = now() WHERE subject_id = :id", id=analysis_id)
            assert run_jobs() == 1
            assert shown(anna, analysis_id)["status"] == ("processing" if attempt < 5 else "failed")
    failed = shown(anna, analysis_id)
    assert failed["error"] == processing.GAVE_UP
    assert failed["result"]["sharpness"] >= 0
    # Asked again, it is tried again.
    assert asked(anna, photo_id=photo_id)["status"] == "processing"
    run_jobs()
    assert shown(anna, analysis_id)["status"] == "ready"


def failed_search(anna: Photographer, monkeypatch: pytest.MonkeyPatch, photo_id: str, *, renewed: bool) -> str:
    """An analysis whose search for faces failed, the first or a later one; its figures are there."""
    analysis_id = str(asked(anna, photo_id=photo_id)["id"])
    if renewed:
        run_jobs()
        with transaction() as session:
            search_again(session, Queue(), uuid.UUID(photo_id))
        begun = shown(anna, analysis_id)
        assert (begun["status"], begun["completed_at"]) == ("processing", None)

    def unsearchable(_: bytes) -> list[dict[str, float]]:
        raise UnreadablePicture("Cannot be searched.")

    with monkeypatch.context() as patch:
        patch.setattr("safelight.pictures.faces.find", unsearchable)
        assert run_jobs() == 1
    failed = shown(anna, analysis_id)
    assert (failed["status"], failed["error"]) == ("failed", "Cannot be searched.")
    assert (failed["result"]["faces"] is not None) is renewed
    return analysis_id


@pytest.mark.parametrize("renewed", [False, True])
def test_a_failed_search_is_tried_again_when_asked_again(monkeypatch: pytest.MonkeyPatch, renewed: bool) -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna, PORTRAIT)
    analysis_id = failed_search(anna, monkeypatch, photo_id, renewed=renewed)
    answers = in_parallel(8, lambda _: asked(anna, photo_id=photo_id), threads=8)
    assert {(one["id"], one["status"], one["error"]) for one in answers} == {(analysis_id, "processing", None)}
    assert run_jobs() == 1
    done = shown(anna, analysis_id)
    assert (done["status"], len(done["result"]["faces"])) == ("ready", 1)
    assert asked(anna, photo_id=photo_id)["status"] == "ready"
    assert run_jobs() == 0


@pytest.mark.parametrize("renewed", [False, True])
def test_without_faces_a_failed_search_takes_nothing_away(monkeypatch: pytest.MonkeyPatch, renewed: bool) -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna, PORTRAIT)
    analysis_id = failed_search(anna, monkeypatch, photo_id, renewed=renewed)
    for _ in range(2):
        again = asked(anna, photo_id=photo_id, faces=False)
        assert (again["id"], again["status"], again["error"]) == (analysis_id, "ready", None)
        assert again["completed_at"]
    assert run_jobs() == 0
    assert asked(anna, photo_id=photo_id)["status"] == ("ready" if renewed else "processing")
    assert run_jobs() == (0 if renewed else 1)
    assert len(shown(anna, analysis_id)["result"]["faces"]) == 1


def test_asking_while_the_worker_searches_starts_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo_id = ready_photo(anna, PORTRAIT)
    analysis_id = failed_search(anna, monkeypatch, photo_id, renewed=False)
    asked(anna, photo_id=photo_id)
    seen: list[str] = []

    def find_while_asked(_: bytes) -> list[dict[str, float]]:
        seen.extend(asked(anna, photo_id=photo_id, faces=faces)["status"] for faces in (True, False))
        return []

    monkeypatch.setattr("safelight.pictures.faces.find", find_while_asked)
    assert run_jobs() == 1
    assert seen == ["processing", "processing"]
    done = shown(anna, analysis_id)
    assert (done["status"], done["result"]["faces"]) == ("ready", [])
    live = "SELECT count(*) FROM jobs WHERE subject_id = :id AND status IN ('queued', 'running')"
    assert sql(live, id=analysis_id) == [(0,)]


def test_the_sweep_finds_lost_uploads_restarts_stuck_ones_and_lets_others_expire() -> None:
    anna = Photographer.registered()
    lost, never, fresh = (announced(anna, PORTRAIT, faces=False)["id"] for _ in range(3))
    storage().write(f"analyses/{lost}/upload", PORTRAIT, "image/jpeg")
    stuck = sent(anna, PORTRAIT, faces=False)
    sql("DELETE FROM jobs WHERE subject_id = :id", id=stuck)
    for analysis_id, minutes in ((lost, 3), (never, 61), (stuck, 16)):
        age(analysis_id, minutes)
    sweep()
    assert run_jobs() == 2
    states = [shown(anna, one)["status"] for one in (lost, never, stuck, fresh)]
    assert states == ["ready", "failed", "ready", "pending"]
    assert shown(anna, never)["error"] == NEVER_ARRIVED


def test_the_buckets_word_starts_an_analysis_and_strange_keys_are_dropped() -> None:
    anna = Photographer.registered()
    made = announced(anna, PORTRAIT, faces=False)
    storage().write(f"analyses/{made['id']}/upload", PORTRAIT, "image/jpeg")
    for _ in range(2):  # the bucket may say it twice
        assert measured(sqs_event(f"analyses/{made['id']}/upload"), None) == FINE
    assert sql("SELECT status, attempts FROM jobs WHERE subject_id = :id", id=made["id"]) == [("queued", 0)]
    assert run_jobs() == 1
    assert measured(sqs_event(f"analyses/{made['id']}/upload"), None) == FINE
    assert run_jobs() == 0
    assert shown(anna, made["id"])["status"] == "ready"
    strangers = ("analyses/x/upload", f"analyses/{made['id']}/preview", "analyses/", f"jobs/other/{uuid.uuid4()}",
                 f"jobs/analyse_photo/{uuid.uuid4()}", f"jobs/find_faces/{uuid.uuid4()}", "x/upload", "")  # fmt: skip
    assert measured(sqs_event(*strangers), None) == FINE
    assert searched(sqs_event(*strangers), None) == FINE
