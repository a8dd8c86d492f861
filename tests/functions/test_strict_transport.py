"""Browsers are told to use HTTPS alone where BASE_URL says so, by every function and in every refusal, once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests import product
from tests.api import Photographer, client

HEADER, VALUE = "strict-transport-security", "max-age=31536000"
PATHS = [
    "/health", "/docs", "/openapi.json", "/auth/me", "/galleries", "/galleries/none", "/photos/none", "/analyses",
    "/s/none", f"/s/{uuid.uuid4()}/download/all", "/healthz", "/assets/gallery.css", "/nothing-is-here",
]  # fmt: skip


@pytest.fixture
def over_https(monkeypatch: pytest.MonkeyPatch, api: str) -> Iterator[str]:
    """The product behind TLS."""
    monkeypatch.setenv("BASE_URL", "https://photos.example")
    product.forget()
    yield api
    monkeypatch.undo()
    product.forget()


def said(answer: httpx.Response) -> list[str]:
    return [value for name, value in answer.headers.multi_items() if name == HEADER]


@pytest.mark.usefixtures("over_https")
def test_over_https_every_function_says_it_once() -> None:
    browser = client()
    answers = {path: browser.get(path) for path in PATHS}
    assert {path: said(answer) for path, answer in answers.items()} == {path: [VALUE] for path in PATHS}
    assert {200, 204, 401, 404} <= {answer.status_code for answer in answers.values()}
    malformed = browser.get("/galleries", headers=[("Authorization", "a"), ("Authorization", "b")])
    assert (malformed.status_code, said(malformed)) == (400, [VALUE])
    large = browser.post("/auth/login", content=b"x" * 20_000, headers={"Content-Type": "application/json"})
    assert (large.status_code, said(large)) == (413, [VALUE])


@pytest.mark.usefixtures("over_https")
def test_over_https_a_streamed_answer_says_it_too() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    assert said(client().get(f"/s/{share}/download/all")) == [VALUE]


@pytest.mark.usefixtures("api")
def test_over_http_nothing_says_it() -> None:
    browser = client()
    assert [path for path in PATHS if said(browser.get(path))] == []
