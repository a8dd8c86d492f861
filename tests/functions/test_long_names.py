"""Text without end from people nobody knows: it is refused before work is done that grows faster than the text."""

from __future__ import annotations

import unicodedata
import uuid
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest

from safelight.accounts import limits
from safelight.accounts.schemas import MAX_NAME
from tests.api import PASSWORD, Photographer, client
from tests.functions.support import passwords_compared, problem, same, sql

pytestmark = pytest.mark.usefixtures("api")

# Marks that a normal form sorts by their classes, each of them past all others.
LONG = "a" + "\u0315\u0300" * 1200 + "@example.com"
# What the longest text that visitors may send has: a note.
MOST = 2000


def token(name: str, password: str = PASSWORD) -> Any:
    return client().post("/auth/token", data={"username": name, "password": password})


def test_a_name_that_is_too_long_is_wrong_as_any_other_and_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    compared = passwords_compared(monkeypatch)
    nobody = token(f"{uuid.uuid4().hex}@example.com")
    problem(nobody, 401, "unauthorized")
    for name in (LONG, anna.email + " " * MAX_NAME, " " * MAX_NAME + anna.email, "\0" * 5_000, "x" * 16_000):
        assert same(token(name), nobody), name[:20]
    assert len(compared) == 6
    sql("DELETE FROM throttles")
    answers = Counter(token(LONG + str(n)).status_code for n in range(limits.SIGN_IN_HERE.tries + 2))
    assert answers == {401: limits.SIGN_IN_HERE.tries, 429: 2}
    assert token(anna.email).status_code == 200


def test_the_longest_name_still_signs_in() -> None:
    email = f"{'x' * 60}@{'.'.join(['y' * 61] * 3)}.example"
    assert len(email) == MAX_NAME
    assert client().post("/auth/register", json={"email": email, "password": PASSWORD}).status_code == 201
    assert token(email).status_code == 200
    problem(token(email + " "), 401, "unauthorized")


def test_nobody_has_long_text_brought_into_a_normal_form(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    gallery, path = anna.gallery()["id"], quote(LONG)
    share, locked = (anna.share(gallery, password=password)["share_id"] for password in (None, "cake and wine"))
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/auth/token", {"data": {"username": LONG, "password": LONG, "scope": LONG, "client_id": LONG}}),
        ("POST", "/auth/token", {"files": {"username": (None, LONG), "password": (None, LONG)}}),
        ("POST", "/auth/login", {"json": {"email": LONG, "password": PASSWORD}}),
        ("POST", "/auth/login", {"json": {"username": LONG, "password": LONG}}),
        ("POST", "/auth/register", {"json": {"email": LONG, "username": LONG, "password": LONG}}),
        ("POST", "/auth/register", {"json": {LONG: LONG}}),
        ("POST", "/auth/refresh", {"json": {"refresh_token": LONG}}),
        ("POST", f"/s/{locked}/unlock", {"json": {"password": LONG}}),
        ("POST", f"/s/{share}/selection", {"json": {"name": LONG, "email": LONG, "note": LONG}}),
        ("GET", f"/s/{path}", {}),
        ("GET", f"/s/{share}?cursor={path}", {}),
        ("GET", f"/s/{share}/download/all?selection={path}", {}),
        ("PUT", f"/s/{share}/favourites/{path}", {}),
        ("GET", f"/{path}", {}),
        *(("PATCH", "/auth/me", {"json": {name: LONG}}) for name in ("email", "username")),
    ]
    normalised: list[int] = []
    normalize = unicodedata.normalize

    def noted(form: Any, text: str) -> str:
        normalised.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", noted)
    for method, where, how in requests:
        assert 400 <= anna.call(method, where, **how).status_code < 500, (method, where[:40])
        assert max(normalised, default=0) <= MOST, (method, where[:40])
