"""What each function asks of the bucket, recorded while it works, is what its role allows: no less and no more."""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2 as httpx
import pytest
from botocore.client import BaseClient
from sqlalchemy import delete, func, select, update

from safelight import storage, sweep
from safelight.analyses import faces as finding
from safelight.analyses import processing as analysing
from safelight.analyses import service as analyses
from safelight.analyses import worker as measuring
from safelight.archives import build
from safelight.archives import queries as archive_queries
from safelight.archives import worker as build_worker
from safelight.db.engine import transaction
from safelight.jobs import queries as job_queries
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.models import Analysis, Archive, Job, Photo, Rendition, User
from safelight.models.job import SERVICE
from safelight.photos import upload as upload_photo
from safelight.photos import worker
from safelight.pictures import child, faces
from safelight.queue import Queue
from safelight.reprocessing import service as reprocessing
from safelight.reprocessing import walk
from safelight.reprocessing import worker as reprocessing_worker
from safelight.storage.light import LightStore
from safelight.storage.signer import Signer
from tests import product
from tests.claims import held
from tests.core.pictures import samples
from tests.template.test_privileges import PREFIXES

pytestmark = pytest.mark.usefixtures("bucket_settings")

CONFIGURED = wake.queue  # what the applications depend on

VERBS = {
    "GET": "Get",
    "HEAD": "Get",
    "PUT": "Put",
    "GetObject": "Get",
    "HeadObject": "Get",
    "PutObject": "Put",
    "CreateMultipartUpload": "Put",
    "UploadPart": "Put",
    "CompleteMultipartUpload": "Put",
    "AbortMultipartUpload": "Abort",
}


class Ledger:
    """(prefix, verb) pairs by function, of every call to the store and every URL and form signed for somebody else."""

    def __init__(self) -> None:
        self.used: dict[str, dict[str, set[str]]] = {}
        self.lists: set[str] = set()
        self.uploads: set[str] = set()
        self.function = "nobody"

    def add(self, verb: str, key: str) -> None:
        prefix = key.rpartition("/")[0] if key.startswith("jobs/") else key.partition("/")[0]
        self.used.setdefault(self.function, {}).setdefault(prefix, set()).add(verb)

    def called(self, operation: str, arguments: dict[str, Any]) -> None:
        """An operation of S3 in the terms of IAM (docs.aws.amazon.com/AmazonS3/latest/API: Permissions of each)."""
        if operation == "ListObjectsV2":
            self.lists.add(self.function)
        elif operation == "ListMultipartUploads":
            self.uploads.add(self.function)
        elif operation == "CopyObject":
            self.add("Get", arguments["CopySource"]["Key"])
            self.add("Put", arguments["Key"])
        elif operation == "DeleteObjects":
            for entry in arguments["Delete"]["Objects"]:
                self.add("Delete", entry["Key"])
        else:
            self.add(VERBS[operation], arguments["Key"])


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Records until the test ends."""
    kept = Ledger()
    make_call: Callable[..., Any] = getattr(BaseClient, "_make_api_call")  # noqa: B009 - botocore's types hide it
    request, urls, post = LightStore._request, Signer._urls, Signer.post

    def recorded_call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        kept.called(operation, arguments)
        return make_call(self, operation, arguments)

    def recorded_request(self: LightStore, method: str, key: str, *rest: Any) -> Any:
        kept.add(VERBS[method], key)
        return request(self, method, key, *rest)

    def recorded_urls(self: Signer, method: str, *rest: Any, **options: Any) -> Callable[[str], str]:
        sign = urls(self, method, *rest, **options)

        def recorded_sign(key: str) -> str:
            kept.add(VERBS[method], key)
            return sign(key)

        return recorded_sign

    def recorded_post(self: Signer, key: str, **options: Any) -> Any:
        kept.add("Put", key)
        return post(self, key, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", recorded_call)
        patch.setattr(LightStore, "_request", recorded_request)
        patch.setattr(Signer, "_urls", recorded_urls)
        patch.setattr(Signer, "post", recorded_post)
        yield kept


class Caller:
    """One photographer and her visitors, calling the functions' applications."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.token = ""

    def __call__(self, function: str, method: str, path: str, body: Any = None) -> httpx.Response:
        app = importlib.import_module(f"functions.{function}.app").app
        if function in ("photos", "analyses", "operations"):
            # As on AWS, where wake-ups leave through the bucket.
            app.dependency_overrides[CONFIGURED] = lambda: Queue(storage.light_store())
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, json=body, headers=headers)

        self.ledger.function = function
        # asyncio.run would drop, unclosed, the loop that Mangum left as the thread's own.
        loop = asyncio.new_event_loop()
        try:
            with product.running(function):
                answer = loop.run_until_complete(ask())
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            self.ledger.function = "nobody"
            app.dependency_overrides.clear()
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer


def upload(call: Caller, gallery: str, data: bytes) -> str:
    """A photo whose bytes are in the bucket."""
    wanted = {"filename": "a.jpg", "content_type": "image/jpeg", "file_size": len(data)}
    photo: str = call("photos", "POST", f"/galleries/{gallery}/photos", wanted).json()["photo"]["id"]
    storage.storage().write(f"incoming/{photo}", data, "image/jpeg")
    return photo


def build_archives(call: Caller, ledger: Ledger, share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One archive built and handed out, one that two visitors began at once, and one whose photo is gone."""
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", "1")
    monkeypatch.setattr(wake, "queue", lambda: Queue(storage.light_store()))
    product.forget()
    path = f"/s/{share}/download/all"
    assert call("downloads", "GET", path).status_code == 202
    build_parts(ledger)
    assert call("downloads", "GET", path).status_code == 307

    look = archive_queries.get
    seen = iter([True, True])
    with monkeypatch.context() as patch:  # both looked twice before either wrote
        patch.setattr(archive_queries, "get", lambda *a, **k: None if next(seen, None) else look(*a, **k))
        call("downloads", "GET", path)

    assert call("downloads", "GET", f"{path}?size=web").status_code == 202
    with transaction() as session:
        storage.storage().delete(session.scalars(select(Rendition.s3_key).where(Rendition.name == "large")).all())
    build_parts(ledger)


def build_parts(ledger: Ledger) -> None:
    ledger.function = "build_archive"
    with transaction() as session:
        parts = [job_id for job_id, kind in job_queries.due(session, 100) if kind == build.JOB]
    for job_id in parts:
        build_worker.handle_record(f"jobs/{build.JOB}/{job_id}")
    ledger.function = "nobody"
    assert parts


def analyse(call: Caller, ledger: Ledger, photo: str) -> None:
    """A photo whose figures are made again, a file sent for analysis, and one of which nobody told."""
    first = call("analyses", "POST", "/analyses", {"photo_id": photo, "faces": False}).json()["id"]
    call("analyses", "POST", "/analyses", {"photo_id": photo})
    call("analyses", "DELETE", f"/analyses/{first}")
    call("analyses", "POST", "/analyses", {"photo_id": photo})
    data = samples.jpeg()
    wanted = {"filename": "a.jpg", "content_type": "image/jpeg", "file_size": len(data)}
    sent, lost = (call("analyses", "POST", "/analyses", wanted).json()["id"] for _ in range(2))
    for one in (sent, lost):
        storage.storage().write(f"analyses/{one}/upload", data, "image/jpeg")
    call("analyses", "POST", f"/analyses/{sent}/complete")
    queue, store = Queue(storage.light_store()), storage.storage()
    runs: dict[str, Callable[[uuid.UUID], None]] = {
        analyses.JOB: lambda job_id: analysing.measure(held(job_id), store, child.render, queue),
        analyses.FACES_JOB: lambda job_id: analysing.find_faces(held(job_id), store, faces.find),
    }
    for kind, run in runs.items():
        with transaction() as session:
            due = [job_id for job_id, of in job_queries.due(session, 100) if of == kind]
        ledger.function = kind
        for job_id in due:
            run(job_id)
        ledger.function = "nobody"
        assert due
    with transaction() as session:
        session.get_one(Analysis, uuid.UUID(lost)).updated_at -= 2 * sweep.PENDING_LOOKED_FOR


def reprocess(call: Caller, ledger: Ledger, gallery: str, photo: str) -> None:
    """Everything made again; one rendition is missing, and the work is cut into two slices."""
    with transaction() as session:
        session.execute(update(User).values(is_admin=True))
    storage.storage().delete([f"renditions/{gallery}/{photo}/thumb.jpg"])
    for what in ("renditions", "analyses"):
        path = f"/admin/galleries/{gallery}/reprocess"
        walk_id = uuid.UUID(call("operations", "POST", path, {"what": what}).json()["id"])
        with transaction() as session:
            job_id = job_queries.live(session, reprocessing.JOB, walk_id)
            session.execute(delete(Job).where(Job.kind == upload_photo.JOB))
        assert job_id is not None
        ledger.function = reprocessing.JOB
        for seconds in (0, 60):
            walk.walk(held(job_id), storage.storage(), child.render, Queue(storage.light_store()), seconds=seconds)
        ledger.function = "nobody"
        assert call("operations", "GET", f"/admin/reprocessings/{walk_id}").json()["status"] == "completed"


def pass_wake_ups_on(ledger: Ledger) -> None:
    """Of two due jobs one was claimed before: whoever claims it wakes another worker for the other."""
    workers = {
        upload_photo.JOB: worker, build.JOB: build_worker, analyses.JOB: measuring, analyses.FACES_JOB: finding,
        reprocessing.JOB: reprocessing_worker,
    }  # fmt: skip
    for kind, module in workers.items():
        with transaction() as session:
            payload = {"digest": "none", "upload_id": "none"}
            ids = [jobs.enqueue(session, Queue(), kind, uuid.uuid4(), SERVICE, payload) for _ in range(2)]
        with transaction() as session:
            session.execute(update(Job).where(Job.kind == kind, Job.status == "queued").values(fencing=1))
        ledger.function = kind
        for job_id in ids:
            module.handle_record(f"jobs/{kind}/{job_id}")
        ledger.function = "nobody"


def test_functions_use_what_their_roles_allow_and_all_of_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Caller(ledger)
    person = {"email": "ada@example.com", "password": "Correct-Horse-7"}
    call("accounts", "POST", "/auth/register", person)
    call.token = call("accounts", "POST", "/auth/login", person).json()["access_token"]
    call("operations", "GET", "/health")
    gallery = call("galleries", "POST", "/galleries", {"title": "Recorded"}).json()["id"]
    data = samples.jpeg()
    photo, lost = upload(call, gallery, data), upload(call, gallery, data)
    call("photos", "POST", f"/photos/{photo}/complete")

    ledger.function = "process_photo"
    worker.handle_record(f"incoming/{photo}")
    worker.handle_record(f"jobs/process_photo/{uuid.uuid4()}")
    ledger.function = "nobody"
    for name in ("thumb", "large", "original"):
        call("photos", "GET", f"/photos/{photo}/renditions/{name}")

    share = call("galleries", "POST", f"/galleries/{gallery}/share-links", {}).json()["share_id"]
    call("visits", "GET", f"/s/{share}")
    call("visits", "GET", f"/s/{share}/photos/{photo}")
    call("visits", "GET", f"/s/{share}/download/{photo}")
    call("downloads", "GET", f"/s/{share}/download/all")
    call("downloads", "GET", f"/s/{share}/download/all?size=web")

    build_archives(call, ledger, share, monkeypatch)
    pass_wake_ups_on(ledger)
    analyse(call, ledger, photo)
    reprocess(call, ledger, gallery, photo)

    call("photos", "DELETE", f"/photos/{photo}")
    storage.multipart().begin("archives/forgotten.zip", "application/zip")
    with transaction() as session:
        for kind in (build.JOB, analyses.FACES_JOB, reprocessing.JOB):
            jobs.enqueue(session, Queue(), kind, uuid.uuid4(), SERVICE)
        # As if begun after the deletion: their manifests tell whether they hold the photo.
        session.execute(update(Archive).values(created_at=func.now() + 2 * build.KEPT_UNUSED))
    with transaction() as session:
        # Its event was lost, and nobody called complete.
        forgotten = session.get_one(Photo, lost)
        forgotten.created_at -= 2 * sweep.PENDING_LOOKED_FOR
        forgotten.updated_at -= 2 * sweep.PENDING_LOOKED_FOR
    monkeypatch.setattr(sweep, "UPLOAD_UNCLAIMED", -2 * sweep.UPLOAD_UNCLAIMED)  # as if begun long ago
    ledger.function = "sweep"
    first = sweep.sweep(storage.storage(), Queue(storage.light_store()))
    with transaction() as session:
        session.execute(update(Archive).values(used_at=func.now() - 2 * build.KEPT_UNUSED))
    second = sweep.sweep(storage.storage(), Queue(storage.light_store()))
    ledger.function = "nobody"
    assert (first.arrived, first.erased, second.erased) == (1, 0, 1)

    used = {f"{''.join(part.title() for part in name.split('_'))}Role": pairs for name, pairs in ledger.used.items()}
    used.pop("NobodyRole")
    assert used == {role: prefixes for role, prefixes in PREFIXES.items() if prefixes}
    assert ledger.lists == ledger.uploads == {"sweep"}
