"""A recorded event of each trigger, given to the real handler over a real database and a real bucket."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import json
import os
import secrets
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from safelight import clock, storage
from safelight.archives import build
from safelight.archives.manifest import archive_key
from safelight.archives.plan import Entry, plan
from safelight.config import MIB, settings
from safelight.db.engine import transaction
from safelight.errors import StorageUnavailable
from safelight.jobs import queries as job_queries
from safelight.jobs.records import handle_batch
from safelight.models import Gallery, Photo, ShareLink, User
from safelight.photos import upload, worker
from safelight.photos.schemas import PhotoCreate
from safelight.queue import Queue
from tests import product
from tests.core.pictures import samples
from tests.template import document

pytestmark = pytest.mark.usefixtures("bucket_settings")

type Handler = Callable[[dict[str, Any], Any], Any]

# Recorded from: the trigger in the template that sends such an event. events/README.md says the same for people.
RECORDED = {
    "api_health": "Api",
    "api_register": "Api",
    "api_view": "Api",
    "api_pick": "Api",
    "photo_uploaded": "SQS",
    "photo_woken": "SQS",
    "archive_part": "SQS",
    "bucket_test": "SQS",
    "schedule": "ScheduleV2",
    "migrate": "invoke",
    "probe_platform": "invoke",
}


@dataclass
class Context:
    """What Lambda hands a handler beside the event."""

    function_name: str
    aws_request_id: str = "5b8a3f1e-6c1d-4f6f-9d42-0c3d1a7e9b10"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-central-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return 15_000


def recorded(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((document.ROOT / "events" / f"{name}.json").read_text())
    return event


@contextlib.contextmanager
def handler(folder: str) -> Iterator[Handler]:
    """The handler of functions/<folder>/app.py, under a module name of its own as in a process that loads several."""
    spec = importlib.util.spec_from_file_location(
        f"handler_of_{folder}", document.ROOT / "functions" / folder / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield lambda event, context: module.handler(event, context)
    finally:
        del sys.modules[spec.name]


def invoke(folder: str, event: dict[str, Any]) -> Any:
    with product.running(folder), handler(folder) as handle:
        return handle(event, Context(f"safelight-dev-{folder}"))


def body(answer: dict[str, Any]) -> Any:
    """The JSON of an answer. What Mangum does not know to be text, problem+json among it, it hands over as base64."""
    given = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"]
    return json.loads(given)


def test_every_trigger_of_the_template_has_a_recorded_event() -> None:
    files = {path.stem for path in (document.ROOT / "events").glob("*.json")} - {"sam-local"}
    assert files == set(RECORDED)
    kinds = {
        event["Type"] for function in document.functions().values() for event in function.get("Events", {}).values()
    }
    assert kinds | {"invoke"} == set(RECORDED.values())


def test_recorded_requests_are_routes_of_the_template() -> None:
    every = {pair for pairs in document.routes().values() for pair in pairs}
    for name, kind in RECORDED.items():
        if kind == "Api":
            event = recorded(name)
            assert (event["httpMethod"], event["resource"]) in every
            assert event["requestContext"]["resourcePath"] == event["resource"]


def test_health() -> None:
    answer = invoke("operations", recorded("api_health"))
    assert answer["statusCode"] == 200
    assert body(answer)["status"] == "ok"


def test_a_body_arrives_as_base64_and_a_person_is_registered() -> None:
    """With BinaryMediaTypes of everything, API Gateway encodes every body."""
    event = recorded("api_register")
    assert event["isBase64Encoded"] is True
    first, second = invoke("accounts", event), invoke("accounts", recorded("api_register"))
    assert first["statusCode"] == 201, first
    assert body(first)["email"] == "ada@example.com"
    assert second["statusCode"] == 409
    assert second["headers"]["content-type"] == "application/problem+json"


def test_an_unknown_link_is_missing() -> None:
    answer = invoke("visits", recorded("api_view"))
    assert answer["statusCode"] == 404
    assert body(answer)["code"] == "not_found"


def test_a_favourite_from_a_browser_brings_a_cookie_back(monkeypatch: pytest.MonkeyPatch) -> None:
    event = recorded("api_pick")
    monkeypatch.setenv("BASE_URL", f"{event['headers']['Origin']}/dev")
    settings.cache_clear()
    with transaction() as session:
        owner = User(email="anna@example.com", password_hash="none")
        session.add(owner)
        session.flush()
        gallery = Gallery(owner_id=owner.id)
        session.add(gallery)
        session.flush()
        ids = {name: uuid.UUID(value) for name, value in event["pathParameters"].items()}
        photo = Photo(id=ids["photo_id"], gallery_id=gallery.id, filename="a.jpg", content_type="image/jpeg",
                      file_size=1, s3_key="none", status="ready", position=1)  # fmt: skip
        session.add_all([photo, ShareLink(id=ids["share_id"], gallery_id=gallery.id)])
    answer = invoke("visits", event)
    assert (answer["statusCode"], body(answer)) == (200, {"count": 1, "limit": None})
    cookies = answer["multiValueHeaders"]["set-cookie"]
    assert len(cookies) == 2  # the list of favourites and the visitor of this link
    for cookie in cookies:
        assert {"HttpOnly", "Path=/dev/s/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
    given = "; ".join(cookie.split(";")[0] for cookie in cookies)
    event["headers"]["Cookie"] = given
    event["multiValueHeaders"]["Cookie"] = [given]
    again = invoke("visits", event)
    assert (body(again), "set-cookie" in str(again)) == ({"count": 1, "limit": None}, False)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return samples.jpeg()


def photo_with_bytes(data: bytes) -> uuid.UUID:
    """A pending photo of a gallery, and its bytes in incoming/."""
    with transaction() as session:
        user = User(email=f"{secrets.token_hex(4)}@example.com", password_hash="x")
        session.add(user)
        session.flush()
        gallery = Gallery(owner_id=user.id, title="Recorded")
        session.add(gallery)
        session.flush()
        wanted = PhotoCreate(filename="a.jpg", content_type="image/jpeg", file_size=len(data))
        begun = upload.begin(session, storage.signer(), gallery, wanted, clock.now())
    storage.storage().write(f"incoming/{begun.photo.id}", data, "image/jpeg")
    return begun.photo.id


def state(photo_id: uuid.UUID) -> tuple[str, str | None]:
    with transaction() as session:
        row = session.execute(text("SELECT status, failure_reason FROM photos WHERE id = :id"), {"id": photo_id}).one()
        return row[0], row[1]


def about(event: dict[str, Any], key: str, size: int) -> dict[str, Any]:
    """The recorded message, speaking of another object."""
    (record,) = event["Records"]
    notification = json.loads(record["body"])
    notification["Records"][0]["s3"]["object"] |= {"key": key, "size": size}
    record["body"] = json.dumps(notification)
    return event


def arrives(photo_id: uuid.UUID, size: int) -> dict[str, Any]:
    """The event of an upload is delivered, and the wake-up that follows it; the event."""
    event = about(recorded("photo_uploaded"), f"incoming/{photo_id}", size)
    assert invoke("process_photo", event) == {"batchItemFailures": []}
    with transaction() as session:
        job_id = job_queries.live(session, upload.JOB, photo_id)
    woken = about(recorded("photo_woken"), f"jobs/process_photo/{job_id}", 0)
    assert invoke("process_photo", woken) == {"batchItemFailures": []}
    return event


def test_an_upload_is_processed(jpeg: bytes) -> None:
    photo_id = photo_with_bytes(jpeg)
    event = arrives(photo_id, len(jpeg))
    assert state(photo_id) == ("ready", None)
    # SQS delivers at least once.
    assert invoke("process_photo", event) == {"batchItemFailures": []}
    assert state(photo_id) == ("ready", None)


def test_a_bad_upload_fails_with_a_reason_and_leaves_the_queue() -> None:
    photo_id = photo_with_bytes(b"no picture at all")
    arrives(photo_id, 17)
    status, reason = state(photo_id)
    assert status == "failed"
    assert reason


def test_a_wakeup_runs_its_job(jpeg: bytes) -> None:
    photo_id = photo_with_bytes(jpeg)
    with transaction() as session:
        job_id = upload.object_arrived(session, Queue(), photo_id, clock.now())
    event = about(recorded("photo_woken"), f"jobs/process_photo/{job_id}", 0)
    assert invoke("process_photo", event) == {"batchItemFailures": []}
    assert state(photo_id) == ("ready", None)


@pytest.mark.parametrize("name", ["photo_uploaded", "photo_woken", "bucket_test"])
def test_a_message_about_nothing_of_ours_leaves_the_queue(name: str) -> None:
    assert invoke("process_photo", recorded(name)) == {"batchItemFailures": []}


def test_only_the_message_that_failed_comes_back(jpeg: bytes) -> None:
    good, bad = photo_with_bytes(jpeg), photo_with_bytes(jpeg)
    batch = about(recorded("photo_uploaded"), f"incoming/{bad}", len(jpeg))
    batch["Records"][0]["messageId"] = "the one that fails"
    batch["Records"] += about(recorded("photo_uploaded"), f"incoming/{good}", len(jpeg))["Records"]

    def handle(key: str) -> None:
        if key == f"incoming/{bad}":
            raise StorageUnavailable("the store went away")
        worker.handle_record(key)

    answer = handle_batch(batch, Context("safelight-dev-process-photo"), handle)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "the one that fails"}]}
    assert state(good)[0] == "processing"
    assert state(bad)[0] == "pending"


def test_a_part_of_an_archive_is_built(jpeg: bytes) -> None:
    photo_id = photo_with_bytes(jpeg)
    arrives(photo_id, len(jpeg))
    with transaction() as session:
        photo = session.get_one(Photo, photo_id)
        assert photo.etag is not None
        assert photo.crc32 is not None
        whole = plan([Entry(photo.filename, photo.file_size, photo.crc32, 0, photo.s3_key, photo.etag)])
        build.request(session, storage.storage(), storage.multipart(), Queue(), photo.gallery_id, whole, 5 * MIB)
    with transaction() as session:
        [(job_id, kind)] = job_queries.due(session, 10)
    event = about(recorded("archive_part"), f"jobs/{kind}/{job_id}", 0)
    for _ in range(2):  # SQS delivers at least once
        assert invoke("build_archive", event) == {"batchItemFailures": []}
        data, _ = storage.storage().read(archive_key(whole.digest))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.read("a.jpg") == jpeg
    assert invoke("build_archive", recorded("archive_part")) == {"batchItemFailures": []}
    assert invoke("build_archive", recorded("bucket_test")) == {"batchItemFailures": []}


def test_the_sweep_finds_an_upload_whose_event_was_lost(jpeg: bytes) -> None:
    photo_id = photo_with_bytes(jpeg)
    with transaction() as session:
        past = "created_at - interval '10 minutes'"
        session.execute(text(f"UPDATE photos SET created_at = {past}, updated_at = {past}"))
    swept = invoke("sweep", recorded("schedule"))
    assert swept["arrived"] == 1
    assert state(photo_id)[0] == "processing"


def test_migrations_say_where_they_ended() -> None:
    newest = ScriptDirectory.from_config(Config(document.ROOT / "alembic.ini")).get_current_head()
    assert invoke("migrate", recorded("migrate")) == {"revision": newest}


def test_the_platform_is_probed_by_trying() -> None:
    found = json.loads(json.dumps(invoke("probe_platform", recorded("probe_platform"))))
    assert found["kernel"] == os.uname().release
    assert list(found["attempts"]) == [
        "prctl(PR_SET_NO_NEW_PRIVS)",
        "seccomp",
        "unshare(CLONE_NEWUSER)",
        "landlock_create_ruleset",
        "process_vm_readv of the parent",
        "setrlimit(RLIMIT_NOFILE, 0)",
    ]
    assert found["attempts"]["setrlimit(RLIMIT_NOFILE, 0)"] == "allowed"
    holds = found["attempts"]["seccomp"] == "allowed"
    assert holds == (sys.platform == "linux"), "the product's own machines let the filter in"
    assert (found["refusal"] is None) == holds
    assert found["proof"]["killed"] == holds
