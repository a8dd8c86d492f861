"""The access-policy table: who may call which route. A route without a row is closed, and fails the build.

| access     | who                                                                                       |
|------------|-------------------------------------------------------------------------------------------|
| open       | everybody                                                                                 |
| visitor    | whoever has a live link, as far as `shares.visits.admit` allows                           |
| read       | a signed-in photographer, or their key with the scope `read`                              |
| upload     | the same with the scope `upload`: galleries, photos and what is computed from them        |
| share      | the same with the scope `share`: links and what visitors did there                        |
| session    | a signed-in photographer and no key: a key changes no password and makes no other key     |
| confirmed  | as `session`, where the password was given in the last ten minutes                        |
| metrics    | a signed-in administrator, or their key with the scope `metrics` or `admin`               |
| operate    | a signed-in administrator, or their key with the scope `operate` or `admin`               |
| admin      | a signed-in administrator, or their key with the scope `admin`                            |
| administer | a signed-in administrator and no key, where the password was given in the last ten minutes |

Whose the thing is, is not asked here: the dependencies of `deps` answer 404 for what is somebody else's.
"""

from collections.abc import Set
from typing import Literal, get_args

from fastapi import Request

from safelight.accounts.schemas import Scope
from safelight.errors import Forbidden

type Access = Literal[
    "open", "visitor", "read", "upload", "share", "session", "confirmed", "metrics", "operate", "admin", "administer"
]

ROUTES: dict[str, Access] = {
    "POST /auth/register": "open",
    "POST /auth/login": "open",
    "POST /auth/token": "open",
    "POST /auth/refresh": "open",
    "POST /auth/logout": "open",
    "GET /auth/me": "read",
    "PATCH /auth/me": "session",
    "DELETE /auth/me": "confirmed",
    "POST /auth/password": "session",
    "POST /auth/confirm": "session",
    "GET /auth/sessions": "session",
    "DELETE /auth/sessions/{session_id}": "session",
    "POST /auth/api-keys": "confirmed",
    "GET /auth/api-keys": "session",
    "DELETE /auth/api-keys/{key_id}": "session",
    "GET /events": "read",
    "GET /galleries": "read",
    "POST /galleries": "upload",
    "GET /galleries/{gallery_id}": "read",
    "PATCH /galleries/{gallery_id}": "upload",
    "DELETE /galleries/{gallery_id}": "upload",
    "GET /galleries/{gallery_id}/photos": "read",
    "POST /galleries/{gallery_id}/photos": "upload",
    "POST /galleries/{gallery_id}/photos/batch": "upload",
    "GET /galleries/{gallery_id}/download": "read",
    "HEAD /galleries/{gallery_id}/download": "read",
    "GET /galleries/{gallery_id}/download/status": "read",
    "GET /galleries/{gallery_id}/download/manifest": "read",
    "GET /galleries/{gallery_id}/culling": "read",
    "GET /galleries/{gallery_id}/share-links": "share",
    "POST /galleries/{gallery_id}/share-links": "share",
    "GET /photos/{photo_id}": "read",
    "PATCH /photos/{photo_id}": "upload",
    "DELETE /photos/{photo_id}": "upload",
    "POST /photos/{photo_id}/complete": "upload",
    "GET /photos/{photo_id}/renditions/{name}": "read",
    "GET /share-links/{share_id}": "share",
    "PATCH /share-links/{share_id}": "share",
    "DELETE /share-links/{share_id}": "share",
    "GET /share-links/{share_id}/stats": "share",
    "GET /share-links/{share_id}/selections": "share",
    "GET /s/{share_id}": "visitor",
    "HEAD /s/{share_id}": "visitor",
    "POST /s/{share_id}/unlock": "visitor",
    "GET /s/{share_id}/photos/{photo_id}": "visitor",
    "GET /s/{share_id}/download/{photo_id}": "visitor",
    "HEAD /s/{share_id}/download/{photo_id}": "visitor",
    "GET /s/{share_id}/favourites": "visitor",
    "PUT /s/{share_id}/favourites/{photo_id}": "visitor",
    "DELETE /s/{share_id}/favourites/{photo_id}": "visitor",
    "POST /s/{share_id}/selection": "visitor",
    "GET /s/{share_id}/download/all": "visitor",
    "HEAD /s/{share_id}/download/all": "visitor",
    "GET /s/{share_id}/download/all/manifest": "visitor",
    "GET /s/{share_id}/photos/{photo_id}/file": "visitor",
    "HEAD /s/{share_id}/photos/{photo_id}/file": "visitor",
    "GET /s/{share_id}/download/all/status": "visitor",
    "POST /analyses": "upload",
    "GET /analyses": "read",
    "GET /analyses/{analysis_id}": "read",
    "DELETE /analyses/{analysis_id}": "upload",
    "POST /analyses/{analysis_id}/complete": "upload",
    "GET /erasures/{erasure_id}": "open",
    "GET /health": "open",
    "HEAD /health": "open",
    "GET /healthz": "open",
    "GET /metrics": "metrics",
    "POST /admin/galleries/{gallery_id}/reprocess": "operate",
    "GET /admin/reprocessings/{reprocessing_id}": "operate",
    "GET /admin/users": "admin",
    "PATCH /admin/users/{user_id}": "administer",
    "GET /admin/invitations": "admin",
    "POST /admin/invitations": "administer",
    "DELETE /admin/invitations/{invitation_id}": "administer",
    "GET /join": "open",
    "GET /openapi.json": "open",
    "GET /docs": "open",
    "GET /docs/{asset}": "open",
    "GET /assets/{asset}": "open",
}


ALSO_OPENED_BY: dict[Access, Scope] = {"metrics": "admin", "operate": "admin"}
"""Wider scopes, so that keys made before the narrower ones keep working."""
_SCOPES = frozenset(get_args(Scope.__value__))


class KeyNotAllowed(Forbidden):
    code = "key_not_allowed"
    title = "This API key may not do this"


def row(request: Request) -> Access | None:
    """What the route that answers this request asks of its caller."""
    route = request.scope.get("route")
    return ROUTES.get(f"{request.method} {getattr(route, 'path', '')}")


def allow_key(request: Request, scopes: Set[str]) -> None:
    """Let a key with these scopes through. Raises KeyNotAllowed."""
    asked = row(request)
    if asked is None or asked not in _SCOPES:
        raise KeyNotAllowed("This cannot be done with an API key: sign in")
    if scopes.isdisjoint({asked, ALSO_OPENED_BY.get(asked)}):
        raise KeyNotAllowed(f"This API key lacks the scope “{asked}”")
    # A selection's photos are what a visitor picked, by whichever route they are asked for.
    if "selection" in request.query_params and "share" not in scopes:
        raise KeyNotAllowed("This API key lacks the scope “share”, for what visitors picked")
