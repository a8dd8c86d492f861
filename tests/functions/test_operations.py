"""Health, documentation, and what is told about a request in the log."""

from __future__ import annotations

import io
import json
import logging
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.openapi import text
from safelight.telemetry import logger
from safelight.web.docs import DOCUMENT
from tests.api import Photographer, client, jpeg, post_form, run_jobs
from tests.functions.support import problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


def test_health_says_what_is_there() -> None:
    answer = client().get("/health")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.json()["status"], answer.json()["database"]) == ("ok", "ok")
    assert client().get("/healthz").status_code == 204
    head = client().head("/health")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/json")


def test_the_document_that_is_served_describes_the_routes_that_there_are() -> None:
    assert DOCUMENT.read_text() == text(), "run `make openapi`"
    served = client().get("/openapi.json")
    assert served.json() == json.loads(text())
    flows = served.json()["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]
    assert flows["password"]["tokenUrl"] == "auth/token"
    for path, operations in served.json()["paths"].items():
        for method, operation in operations.items():
            problems = operation["responses"]["default"]["content"]
            assert list(problems) == ["application/problem+json"], (method, path)
            opened = path.startswith(
                ("/s/", "/auth/register", "/auth/login", "/auth/token", "/auth/refresh", "/health", "/erasures/")
            )
            assert ("security" in operation) != (opened or path == "/auth/logout"), (method, path)


def test_the_documentation_page_runs_nothing_from_elsewhere() -> None:
    page = client().get("/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    assert not re.search(r"<script(?![^>]* src=)", page.text)
    for asset in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        answer = client().get(f"/{asset}")
        assert answer.status_code == 200
        assert answer.content
    for name in ("other.js", "..%2Fdocs.py", "swagger-ui-bundle.js.map"):
        problem(client().get(f"/docs/{name}"), 404, "not_found")


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Every line that the product writes meanwhile, as the log's reader would parse it."""
    handler = logger().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    before = handler.setStream(written)
    found: list[dict[str, Any]] = []
    try:
        yield found
    finally:
        handler.setStream(before or io.StringIO())


def read(handler: Any = None) -> list[dict[str, Any]]:
    handler = handler or logger().registered_handler
    return [json.loads(line) for line in handler.stream.getvalue().splitlines()]


@pytest.mark.usefixtures("lines")
def test_every_line_of_a_visit_names_its_request_its_link_and_its_gallery() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo = anna.upload(gallery)
    run_jobs()
    share = anna.share(gallery, slug=f"s-{uuid.uuid4().hex[:8]}")
    known = {}
    visitor = client()
    for path in ("", f"/photos/{photo}", f"/download/{photo}", "/download/all"):
        for reference in (share["share_id"], share["slug"]):
            answer = visitor.get(f"/s/{reference}{path}")
            known[answer.headers["x-request-id"]] = path
    given = anna.call("GET", f"/photos/{photo}", headers={"X-Request-Id": "from-the-gateway-1"})
    assert given.headers["x-request-id"] == "from-the-gateway-1"
    odd = anna.call("GET", f"/photos/{photo}", headers={"X-Request-Id": 'x"\\n' + "y" * 100})
    assert uuid.UUID(odd.headers["x-request-id"])

    found = read()
    visits = [line for line in found if line.get("correlation_id") in known]
    assert len(visits) >= len(known)
    for line in visits:
        assert (line["share_id"], line["gallery_id"]) == (share["share_id"], gallery), line
    [request] = [line for line in found if line.get("correlation_id") == "from-the-gateway-1"]
    assert (request["route"], request["status"], request["gallery_id"]) == ("/photos/{photo_id}", 200, gallery)
    assert all(line["timestamp"].endswith("+0000") and line["level"] for line in found)
    [processed] = [line for line in found if line["message"] == "photo ready"]
    assert (processed["photo_id"], processed["gallery_id"]) == (photo, gallery)
    assert processed["job_id"]


@pytest.mark.usefixtures("lines")
def test_no_line_holds_a_secret_an_address_or_a_signed_url(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.config import settings
    from safelight.galleries import service as galleries

    anna = Photographer.registered()
    password = "Canary-Secret-55"
    secrets = [anna.email, anna.tokens["access_token"], anna.tokens["refresh_token"], password]
    again = {"email": anna.email, "password": password}
    assert client().post("/auth/register", json=again).status_code == 409
    assert client().post("/auth/login", json=again).status_code == 401
    assert client().post("/auth/register", json={"email": f"{anna.email}@@", "password": password}).status_code == 422
    assert client().post("/auth/token", data={"username": anna.email, "password": password}).status_code == 401
    assert client().get("/nothing", params={"token": password}).status_code == 404
    refreshed = client().post("/auth/refresh", json={"refresh_token": anna.tokens["refresh_token"]}).json()
    secrets += [refreshed["access_token"], refreshed["refresh_token"]]
    gallery = anna.gallery()["id"]
    made = anna.announce(gallery, jpeg(), filename="canary-name.jpg")
    secrets += [made["upload"]["fields"]["policy"], made["upload"]["fields"]["x-amz-signature"]]
    assert post_form(made["upload"], jpeg()).status_code == 204
    run_jobs_after_complete(anna, made["photo"]["id"])
    share = anna.share(gallery, password=password)["share_id"]
    visitor = client()
    assert visitor.post(f"/s/{share}/unlock", json={"password": password + "x"}).status_code == 401
    unlocked = visitor.post(f"/s/{share}/unlock", json={"password": password})
    secrets.append(unlocked.headers["set-cookie"].split("=", 1)[1].split(";")[0])
    assert visitor.get(f"/s/{share}").status_code == 200
    location = visitor.get(f"/s/{share}/download/{made['photo']['id']}").headers["location"]
    secrets += [location, "X-Amz-Signature"]
    assert visitor.get(f"/s/{share}/download/all").status_code == 200
    # A defect in the middle of it: the driver's error would quote the row that was refused.
    monkeypatch.setattr(galleries, "create", lambda *_: sql(
        "INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), :email, 'x')", email=anna.email
    ))  # fmt: skip
    assert anna.call("POST", "/galleries", json={}).status_code == 500
    config = settings()
    secrets += [config.token_secret, config.database_url.get_secret_value()]
    assert config.aws_secret_access_key is not None
    secrets.append(config.aws_secret_access_key.get_secret_value())

    found = read()
    assert any(line["message"] == "request failed" for line in found)
    written = json.dumps(found)
    for secret in secrets:
        assert secret not in written
    assert "Bearer" not in written
    assert "@example.com" not in written


def run_jobs_after_complete(anna: Photographer, photo_id: str) -> None:
    assert anna.call("POST", f"/photos/{photo_id}/complete").status_code == 200
    assert run_jobs() == 1
