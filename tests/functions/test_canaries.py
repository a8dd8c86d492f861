"""Canary secrets, sent through every route in every place and into every crash: none comes out anywhere."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import httpx2 as httpx
import pytest
from pg8000.exceptions import InterfaceError
from pydantic import ValidationError

from local import worker as module_of_worker
from local.gateway import Gateway
from local.runtime import Handler
from local.template import Template
from local.worker import Worker
from safelight.accounts import api_keys, registration, sessions
from safelight.config import Settings
from safelight.errors import Unavailable
from safelight.galleries import service as galleries
from safelight.photos import service as photos
from safelight.photos import upload
from safelight.shares import favourites, selections, visits
from safelight.shares import service as shares
from safelight.telemetry import logger, outline
from safelight.web.policy import ROUTES as POLICY
from tests import product
from tests.api import client, jpeg, post_form, run_jobs
from tests.functions.access import BODIES, World
from tests.functions.attacking import administered
from tests.functions.support import sql

pytestmark = pytest.mark.usefixtures("shared_api")

CANARY = "Canary-7f3a91"
"""Part of every planted secret, so that half of one is found as well."""


class Planted(World):
    """A photographer all of whose secrets are known here."""

    secrets: dict[str, str]


@pytest.fixture(scope="module")
def world(shared_api: str) -> Planted:
    assert shared_api
    made = administered()
    planted = Planted(made.anna, made.things, made.keys)
    anna, share_password = made.anna, f"{CANARY}-link"
    locked = anna.share(made.things["gallery_id"], password=share_password)["share_id"]
    grant = client().post(f"/s/{locked}/unlock", json={"password": share_password}).headers["set-cookie"]
    picks = client().put(f"/s/{made.things['share_id']}/favourites/{made.things['photo_id']}").headers["set-cookie"]
    location = client().get(f"/s/{made.things['share_id']}/photos/{made.things['photo_id']}").headers["location"]
    config = Settings.from_environment(os.environ)
    assert config.aws_secret_access_key is not None
    planted.secrets = {
        "password": f"{CANARY}-Password",
        "share password": share_password,
        "visitor's name": f"{CANARY} Visitor",
        "e-mail": f"{CANARY}@example.com",
        "her e-mail": anna.email,
        "access token": anna.tokens["access_token"],
        "refresh token": anna.tokens["refresh_token"],
        "API key": made.keys["admin"],
        "grant": grant.partition("=")[2].partition(";")[0],
        "picks": picks.partition("=")[2].partition(";")[0],
        "signature": location.rpartition("X-Amz-Signature=")[2],
        "JWT secret": product.JWT_SECRET,
        "database URL": config.database_url.get_secret_value(),
        "store's secret": config.aws_secret_access_key.get_secret_value(),
    }
    return planted


class Written:
    """Everything that is written while a test runs, as text."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def check(self, world: Planted) -> None:
        """None of it is a secret."""
        text = self.stream.getvalue()
        for name, secret in world.secrets.items():
            assert secret not in text, name
        assert CANARY.lower() not in text.lower()
        assert "X-Amz-" not in text


@pytest.fixture
def written() -> Iterator[Written]:
    """Log lines as the product writes them, and as anybody else in the process would: uvicorn, libraries, workers."""
    made = Written()
    ours = logger().registered_handler
    assert isinstance(ours, logging.StreamHandler)
    before = ours.setStream(made.stream)
    plain = logging.StreamHandler(made.stream)
    plain.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    others = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error", "asyncio", "botocore", "safelight")]
    for one in others:
        one.addHandler(plain)
    try:
        yield made
    finally:
        for one in others:
            one.removeHandler(plain)
        ours.setStream(before or io.StringIO())


def silent(answer: httpx.Response, world: Planted, route: str) -> None:
    """An error says nothing of what was sent."""
    if answer.status_code >= 500 and not route.endswith(" /health"):
        assert answer.headers["content-type"] == "application/problem+json", route
    if answer.is_error:
        for name, secret in world.secrets.items():
            assert secret not in answer.text, (route, name)
        assert CANARY not in answer.text, (route, answer.text)


def send(route: str, world: Planted, secret: str, place: str) -> httpx.Response:
    """One request with this secret in one place; otherwise as a request that is let through."""
    method, _, path = route.partition(" ")
    headers = {"Authorization": f"Bearer {world.anna.tokens['access_token']}"}
    body: Any = dict(BODIES.get(route) or {})
    things, params = dict(world.things), {}
    if place == "path":
        things = {name: httpx.QueryParams({"x": secret}).__str__()[2:] for name in things}
    elif place == "query":
        params = dict.fromkeys(("q", "password", "token", "limit", "cursor", "selection", "size", "format"), secret)
    elif place == "credentials":
        headers = {"Authorization": f"Bearer {secret}", "X-API-Key": secret, "Cookie": f"safelight_refresh={secret}"}
    elif place == "headers":
        headers |= dict.fromkeys(("User-Agent", "Origin", "Referer", "X-Api-Key-Id", "If-None-Match", "Range"), secret)
    elif place == "fields":
        body = dict.fromkeys(
            [*body, "email", "username", "password", "current_password", "new_password", "name"], secret
        )
    elif place == "types":
        body = {name: [{"a": secret}] for name in [*body, "email", "password", "refresh_token", "note", "scopes"]}
    elif place == "names":
        body = {**body, f"{secret} ": 1, "password": {secret: secret}}
    options: dict[str, Any] = {}
    if method in ("POST", "PUT", "PATCH"):
        options = {"content": secret.encode()} if place == "broken" else {"json": body}
        headers["Content-Type"] = "application/json"
    return client().request(method, path.format(**things), headers=headers, params=params, **options)


# What is right but for that place and would end the session, or everything, is left out.
# X-Request-Id is written down on purpose, and given back: it names a request, and may be a caller's own.
PLACES = ("path", "query", "credentials", "headers", "fields", "types", "names", "broken")


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_of_a_request_is_written_down_or_given_back(place: str, world: Planted, written: Written) -> None:
    for route in sorted(POLICY):
        if route.startswith("DELETE ") and (place != "path" or "{" not in route):
            continue
        if route == "POST /auth/password" and place in ("path", "query", "headers"):
            continue
        for secret in (world.secrets["password"], world.secrets["access token"], world.secrets["e-mail"]):
            silent(send(route, world, secret, place), world, route)
    written.check(world)
    assert '"message":"request"' in written.stream.getvalue()
    metrics = world.anna.call("GET", "/metrics").text
    assert CANARY not in metrics


# Where each kind of request does its work; each will fail with everything it was given in its message.
CRASHES = (
    (registration, "register", "POST", "/auth/register"), (sessions, "sign_in", "POST", "/auth/login"),
    (sessions, "refresh", "POST", "/auth/refresh"), (sessions, "caller", "GET", "/auth/me"),
    (api_keys, "use", "GET", "/galleries"), (galleries, "create", "POST", "/galleries"),
    (upload, "begin", "POST", "/galleries/{gallery_id}/photos"),
    (photos, "update", "PATCH", "/photos/{photo_id}"),
    (shares, "create", "POST", "/galleries/{gallery_id}/share-links"),
    (visits, "find", "GET", "/s/{share_id}"),
    (visits, "admit", "GET", "/s/{share_id}/photos/{photo_id}"),
    (visits, "look_url", "GET", "/s/{share_id}/photos/{photo_id}"),
    (favourites, "submit", "POST", "/s/{share_id}/selection"),
    (selections, "list_page", "GET", "/share-links/{share_id}/selections"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name", "method", "path"), CRASHES, ids=lambda value: str(getattr(value, "__name__", value))
)
def test_no_crash_tells_what_it_was_given(
    module: Any, name: str, method: str, path: str, world: Planted, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = " ".join(world.secrets.values())

    def crash(*given: object, **named: object) -> None:
        secret = told  # in the frame's locals, too
        try:
            sql("SELECT cast(:value AS uuid)", value=secret)
        except Exception as error:
            error.add_note(secret)
            raise RuntimeError(f"{secret} {given} {named}") from error

    monkeypatch.setattr(module, name, crash)
    route = f"{method} {path}"
    bodies = {
        **BODIES,
        "POST /auth/register": {"email": "canary@example.com", "password": "Aa1-" + CANARY},
        "POST /auth/login": {"email": world.anna.email, "password": world.secrets["password"]},
        "POST /auth/refresh": {"refresh_token": world.secrets["refresh token"]},
        "POST /s/{share_id}/selection": {"name": world.secrets["visitor's name"], "note": CANARY},
    }
    key = {"X-API-Key": world.keys["read"]} if name == "use" else {}
    bearer = {} if key else {"Authorization": f"Bearer {world.anna.tokens['access_token']}"}
    options = {"json": bodies[route]} if method in ("POST", "PATCH") else {}
    answer = client().request(method, path.format(**world.things), headers={**key, **bearer}, **options)
    assert answer.status_code == 500
    silent(answer, world, route)
    written.check(world)
    [line] = [
        one
        for one in map(json.loads, filter(lambda one: one.startswith("{"), written.stream.getvalue().splitlines()))
        if one["message"] == "request failed"
    ]
    # Enough to find the place, and what Postgres thought of it.
    assert line["exception_name"] == "RuntimeError"
    assert "test_canaries.py" in line["exception"]
    assert "pg8000" in line["exception"]
    assert "22P02" in line["exception"]


def test_no_answer_that_breaks_off_tells_why(world: Planted, written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of an archive is out: the server in front of the application logs what it is told, in its own words."""
    from safelight.web.streaming import ArchiveResponse

    async def broken(_self: object, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise RuntimeError(" ".join(world.secrets.values()))

    monkeypatch.setattr(ArchiveResponse, "__call__", broken)
    with pytest.raises(httpx.HTTPError):
        client().get(f"/s/{world.things['share_id']}/download/all")
    written.check(world)
    assert '"request failed"' in written.stream.getvalue()


def test_no_failing_job_tells_what_it_was_given(
    world: Planted, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safelight.photos import processing

    def crash(*given: object, **named: object) -> None:
        raise RuntimeError(f"{' '.join(world.secrets.values())} {given} {named}")

    gallery = world.anna.gallery()["id"]
    made = world.anna.announce(gallery, jpeg(), filename=f"{CANARY}.jpg")
    assert post_form(made["upload"], jpeg()).status_code == 204
    assert world.anna.call("POST", f"/photos/{made['photo']['id']}/complete").status_code == 200
    monkeypatch.setattr(processing, "_verify", crash)
    run_jobs()
    written.check(world)
    assert "photo not processed" in written.stream.getvalue()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database that nobody serves, with a secret in its address."""
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:{CANARY}@127.0.0.1:9/none")
    product.forget()
    yield
    monkeypatch.undo()
    product.forget()


@pytest.mark.usefixtures("nowhere")
def test_without_a_database_nothing_is_told_either(world: Planted, written: Written) -> None:
    for route in sorted(POLICY):
        for place in ("credentials", "fields"):
            silent(send(route, world, world.secrets["password"], place), world, route)
    written.check(world)
    assert "database not reachable" in written.stream.getvalue()


def test_a_store_that_fails_is_not_quoted(world: Planted, written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("S3_SOCKET")
    product.forget()
    try:
        made = world.anna.announce(world.things["gallery_id"], jpeg(), filename=f"{CANARY}.jpg")
        assert "127.0.0.1:9" in made["upload"]["url"]
        answers = [
            world.anna.call("POST", f"/photos/{made['photo']['id']}/complete"),
            world.anna.call("POST", f"/analyses/{world.things['analysis_id']}/complete"),
        ]
        assert answers[0].status_code == 503
        for answer in answers:
            silent(answer, world, str(answer.request.url))
    finally:
        monkeypatch.undo()
        product.forget()
    written.check(world)


def test_no_secret_lies_in_the_database_as_it_was_given(world: Planted) -> None:
    """Hashes do, and addresses where they belong; events tell neither."""
    found = {
        table: "\n".join(str(row) for row in sql(f"SELECT to_jsonb(t)::text FROM {table} t"))
        for (table,) in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    }
    assert {"users", "share_events", "jobs", "throttles", "refresh_tokens"} <= found.keys()
    for name in (
        "access token",
        "refresh token",
        "API key",
        "share password",
        "grant",
        "picks",
        "signature",
        "JWT secret",
    ):
        assert not [table for table, rows in found.items() if world.secrets[name] in rows], name
    for table in ("share_events", "jobs", "throttles", "refresh_tokens", "share_links", "api_keys"):
        assert world.anna.email not in found[table]


def test_an_error_is_told_by_its_kind_its_codes_and_its_places() -> None:
    def outer() -> None:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise Unavailable(CANARY) from error

    with pytest.raises(Unavailable) as caught:
        outer()
    told = outline(caught.value)
    assert told.splitlines()[0] == "safelight.errors.Unavailable unavailable"
    assert "builtins.ValueError" in told
    assert "in outer" in told
    assert CANARY not in told
    loop = RuntimeError(CANARY)
    loop.__cause__ = loop
    assert outline(loop) == "builtins.RuntimeError"
    with pytest.raises(ValidationError) as invalid:
        Settings.from_environment(
            {"DATABASE_URL": CANARY, "JWT_SECRET": CANARY, "BUCKET": "b", "DATABASE_POOL": CANARY}
        )
    assert CANARY not in outline(invalid.value)


def test_neither_gateway_nor_worker_of_one_machine_quotes_an_error(
    world: Planted, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in for the platform sees errors that no function caught; the worker's own come from the driver."""
    site = Template(product.ROOT / "tests" / "local" / "site" / "template.yaml")
    told = " ".join(world.secrets.values())

    def crash(*_: object, **__: object) -> None:
        try:
            raise ValueError(told)
        except ValueError as error:
            raise RuntimeError(told) from error

    gateway = Gateway(site, concurrency=1)
    worker = Worker(site, f"postgresql://user:{CANARY}@127.0.0.1:9/none", "none")
    monkeypatch.setattr(Handler, "call", crash)
    monkeypatch.setattr(module_of_worker, "connect", crash_as_database(told))

    async def ask() -> int:
        transport = httpx.ASGITransport(gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.example") as asking:
            return (await asking.put(f"/echo/{CANARY}", content=told.encode())).status_code

    try:
        assert asyncio.run(ask()) == 502
        failed: Future[Any] = Future()
        failed.set_exception(RuntimeError(told))
        assert module_of_worker._failed("tick", failed)
        worker.stopping.set()  # so that it does not wait before it would look again
        assert worker._due(["work"]) == []
    finally:
        gateway.close()
        for handler in worker._handlers.values():
            handler.close()
    written.check(world)
    text = written.stream.getvalue()
    assert "local.gateway" in text
    assert "builtins.ValueError" in text
    assert "tick failed: builtins.RuntimeError" in text
    assert "cannot be read, trying again: pg8000.exceptions.InterfaceError" in text


def crash_as_database(told: str) -> Callable[[str], None]:
    """What fails as the driver does, which quotes the address."""

    def connect(_url: str) -> None:
        raise InterfaceError(told)

    return connect
