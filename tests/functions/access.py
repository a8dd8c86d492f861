"""A photographer with one of everything that has an id, and what a request that is let through would send."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, get_args

import httpx2 as httpx

from safelight.accounts import operators
from safelight.accounts.schemas import Scope
from tests.api import PASSWORD, Photographer, client, run_jobs
from tests.functions.support import sql

SCOPES: tuple[str, ...] = get_args(Scope.__value__)
LINK_PASSWORD = "cake and wine"

BODIES: dict[str, Any] = {
    "PATCH /auth/me": {"username": "renamed"},
    "POST /auth/password": {"current_password": PASSWORD, "new_password": "Correct-Horse-8"},
    "POST /auth/confirm": {"password": PASSWORD},
    "POST /auth/api-keys": {"name": "one more", "scopes": ["read"]},
    "POST /galleries": {"title": "one more"},
    "PATCH /galleries/{gallery_id}": {"title": "mine"},
    "POST /galleries/{gallery_id}/photos": {"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1},
    "POST /galleries/{gallery_id}/photos/batch": {
        "photos": [{"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1}]
    },
    "POST /galleries/{gallery_id}/share-links": {"label": "mine"},
    "PATCH /photos/{photo_id}": {"title": "mine"},
    "PATCH /share-links/{share_id}": {"label": "mine"},
    "PATCH /admin/users/{user_id}": {"is_active": True},
    "POST /admin/invitations": {"email": "invited@example.com"},
    "POST /admin/galleries/{gallery_id}/reprocess": {"what": "analyses"},
    "POST /analyses": {"filename": "x.jpg", "content_type": "image/jpeg", "file_size": 1},
    "POST /s/{share_id}/unlock": {"password": LINK_PASSWORD},
}


@dataclass
class World:
    """Anna, what is hers, and a key of each scope."""

    anna: Photographer
    things: dict[str, str]
    keys: dict[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls) -> World:
        """A fresh one."""
        anna = Photographer.registered()
        gallery = anna.gallery()["id"]
        photo = anna.upload(gallery)
        run_jobs()
        keys, key_id = {}, ""
        promote(anna)  # else she could not make keys with the scopes of administrators
        for scope in SCOPES:
            made = anna.call("POST", "/auth/api-keys", json={"name": scope, "scopes": [scope]})
            assert made.status_code == 201, made.text
            keys[scope], key_id = made.json()["key"], made.json()["id"]
        sql("UPDATE users SET is_admin = false WHERE email = :email", email=anna.email)
        other = Photographer(anna.http, anna.email)
        other.sign_in()
        sessions = anna.call("GET", "/auth/sessions").json()
        things = {
            "gallery_id": gallery,
            "photo_id": photo,
            "share_id": anna.share(gallery)["share_id"],
            "name": "thumb",
            "asset": "gallery.js",
            "analysis_id": anna.call("POST", "/analyses", json={"photo_id": photo, "faces": False}).json()["id"],
            "reprocessing_id": reprocessed(gallery),
            "key_id": key_id,
            "session_id": next(one["id"] for one in sessions if not one["current"]),
            "user_id": anna.call("GET", "/auth/me").json()["id"],
            "invitation_id": str(operators.invite(f"{uuid.uuid4().hex}@example.com").id),
        }
        return cls(anna, things, keys)


def request(
    route: str, things: dict[str, str], *, token: str | None = None, key: str | None = None, body: Any = None
) -> httpx.Response:
    """One request to a route of the table."""
    method, _, path = route.partition(" ")
    headers = {"Authorization": f"Bearer {token}"} if token else {"X-API-Key": key} if key else {}
    sent = BODIES.get(route, {}) if body is None else body
    given = sent if method in ("POST", "PUT", "PATCH") else None
    return client().request(method, path.format(**things), headers=headers, json=given)


def promote(someone: Photographer) -> None:
    """Make an administrator."""
    sql("UPDATE users SET is_admin = true WHERE email = :email", email=someone.email)


def administrator() -> Photographer:
    """Somebody new who is one."""
    someone = Photographer.registered()
    promote(someone)
    return someone


def age_confirmation(someone: Photographer, seconds: int) -> None:
    """Let the password have been given this long ago in each of their sessions."""
    sql(
        "UPDATE refresh_tokens SET confirmed_at = now() - make_interval(secs => :seconds) FROM users"
        " WHERE users.id = user_id AND users.email = :email AND generation = 0",
        seconds=seconds, email=someone.email,
    )  # fmt: skip


def reprocessed(gallery: str) -> str:
    """A walk through the gallery that has ended."""
    [(made,)] = sql(
        "INSERT INTO reprocessings (id, gallery_id, what, status) VALUES (gen_random_uuid(), :id, 'clean', 'completed')"
        " RETURNING id::text",
        id=gallery,
    )
    return str(made)
