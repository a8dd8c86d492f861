"""The product through its front door: every function's application behind one client, on the real parts."""

from __future__ import annotations

import asyncio
import importlib
import io
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx2 as httpx
import uvicorn
from fastapi import FastAPI
from PIL import Image
from starlette.types import Receive, Scope, Send

from tests import product

GROUPS = ("accounts", "galleries", "photos", "visits", "downloads", "operations", "analyses")
PASSWORD = "Correct-Horse-7"


class Product:
    """All functions as one application: each request goes to the function that has a route for it, as its role."""

    def __init__(self) -> None:
        self.apps: dict[str, FastAPI] = {name: importlib.import_module(f"functions.{name}.app").app for name in GROUPS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.routing import Match

        candidates: list[tuple[int, str]] = []
        for name, app in self.apps.items():
            for route in app.routes:
                match, _ = route.matches(scope)
                if match is Match.FULL:
                    # As API Gateway does: a literal segment wins over a variable.
                    candidates.append((route.path.count("{"), name))  # type: ignore[attr-defined]  # every route has one
        chosen = min(candidates, key=lambda found: found[0])[1] if candidates else "accounts"
        with product.running(chosen):
            await self.apps[chosen](scope, receive, send)


class Server:
    """The product on a port of its own, under the same server as the streaming function."""

    def __init__(self) -> None:
        config = uvicorn.Config(
            Product(),
            host="127.0.0.1",
            port=0,
            log_config=None,
            lifespan="off",
            access_log=False,
            proxy_headers=False,  # as both servers of the product
            timeout_keep_alive=600,  # a client must not send its next request just when the server closes
            timeout_graceful_shutdown=1,  # a test may have left in the middle of an answer
        )
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def start(self) -> None:
        """Serve; returns once requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(10)

    def forget(self) -> None:
        """Close the streaming engine's connections before the settings that it was made from change."""
        from safelight.web.archive import get_engine

        if get_engine.cache_info().currsize:
            asyncio.run_coroutine_threadsafe(get_engine().fetcher.close(), self._loop).result(10)
            get_engine.cache_clear()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve())
        self._loop.close()


# The one server of this test process; set by the `api` fixture.
running: list[Server] = []
# The browsers a test has opened, for the fixture to close.
opened: list[httpx.Client] = []


def client(*, keeps_cookies: bool = True) -> httpx.Client:
    """A fresh browser: no cookies, no redirects followed. One that keeps none is as many visitors as programs."""
    # All is plain HTTP on this machine: loading the system's certificates for each browser would take 80 ms.
    opened.append(
        httpx.Client(base_url=running[0].url, timeout=60, verify=False, limits=httpx.Limits(max_connections=None))
    )
    if not keeps_cookies:
        opened[-1].cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return opened[-1]


def jpeg(width: int = 64, height: int = 48, colour: tuple[int, int, int] = (200, 80, 40)) -> bytes:
    """A small, valid photo."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "JPEG", quality=90)
    return out.getvalue()


@dataclass
class Photographer:
    """Someone with an account, who can do what photographers do."""

    http: httpx.Client = field(default_factory=client)
    email: str = field(default_factory=lambda: f"{uuid.uuid4().hex[:12]}@example.com")
    tokens: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def registered(cls) -> Photographer:
        """With a fresh account, signed in."""
        someone = cls()
        answer = someone.http.post("/auth/register", json={"email": someone.email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        someone.sign_in()
        return someone

    def sign_in(self) -> None:
        """A new session."""
        answer = self.http.post("/auth/login", json={"email": self.email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request with the access token."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}", **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def gallery(self, **body: Any) -> dict[str, Any]:
        """A new gallery."""
        answer = self.call("POST", "/galleries", json={"title": "Anna & Ben", **body})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def announce(self, gallery_id: str, data: bytes, **body: Any) -> dict[str, Any]:
        """A pending photo and its form."""
        body = {"filename": "photo.jpg", "content_type": "image/jpeg", "file_size": len(data), **body}
        answer = self.call("POST", f"/galleries/{gallery_id}/photos", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def upload(self, gallery_id: str, data: bytes | None = None, **body: Any) -> str:
        """Announce, post to the bucket, complete; the photo's id."""
        data = jpeg() if data is None else data
        made = self.announce(gallery_id, data, **body)
        posted = post_form(made["upload"], data)
        assert posted.status_code == 204, posted.text
        answer = self.call("POST", f"/photos/{made['photo']['id']}/complete")
        assert answer.status_code == 200, answer.text
        return str(made["photo"]["id"])

    def photo(self, photo_id: str) -> dict[str, Any]:
        """The photo as it stands."""
        answer = self.call("GET", f"/photos/{photo_id}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def share(self, gallery_id: str, **body: Any) -> dict[str, Any]:
        """A new link."""
        answer = self.call("POST", f"/galleries/{gallery_id}/share-links", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


def post_form(form: dict[str, Any], data: bytes, **changed: str) -> httpx.Response:
    """What a browser does with an upload form; `changed` fields replace or extend the given ones."""
    fields = {**form["fields"], **changed}
    return httpx.post(form["url"], data=fields, files={"file": ("photo.jpg", data)}, timeout=30, verify=False)


def run_jobs() -> int:
    """Do what is due, as the worker would: call the real handler with events shaped like SQS's; how many jobs ran."""
    from safelight.db.engine import transaction
    from safelight.jobs import queries

    ran = 0
    while True:
        with transaction() as session:
            due = queries.due(session, 100)
        if not due:
            return ran
        for job_id, kind in due:
            handler = importlib.import_module(f"functions.{kind}.app").handler
            with product.running(kind):
                answer = handler(sqs_event(f"jobs/{kind}/{job_id}"), None)
            assert answer == {"batchItemFailures": []}
            ran += 1


def deliver(*photo_ids: str) -> None:
    """The bucket's events of these uploads, and then as many wake-ups."""
    handler = importlib.import_module("functions.process_photo.app").handler
    for keys in ([f"incoming/{one}" for one in photo_ids], [f"jobs/process_photo/{uuid.uuid4()}" for _ in photo_ids]):
        with product.running("process_photo"):
            assert handler(sqs_event(*keys), None) == {"batchItemFailures": []}


def sqs_event(*keys: str) -> dict[str, Any]:
    """An SQS event with one record per key, each holding a notification of the bucket."""
    import json

    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "receipt",
                "body": json.dumps({"Records": [{"eventName": "ObjectCreated:Post", "s3": {"object": {"key": key}}}]}),
                "attributes": {},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:uploads",
                "awsRegion": "us-east-1",
            }
            for key in keys
        ]
    }
