"""A visitor's favourites over HTTP: the cookie that holds them, and what a submission may say."""

import re
import uuid
from typing import Annotated

from fastapi import Depends, Query, Request, Response
from pg8000.native import Connection
from pydantic import AfterValidator, StringConstraints

from safelight.errors import NotFound
from safelight.shares import favourites
from safelight.shares.favourites import Picked, Submission
from safelight.shares.visits import Share
from safelight.text import Body, Storable
from safelight.web import linkcookies
from safelight.web.origin import refuse_other_sites
from safelight.web.visitor import Config, Db, LiveVisit, Visit

KEPT_SECONDS = 365 * 24 * 3600
MINE = "mine"
_EMPTY = uuid.UUID(int=0)  # no selection has this id, so it holds nothing

# Not a check that mail arrives: one address, and nothing that could be taken for more (RFC 5321 §4.1.2, roughly).
_EMAIL = re.compile(r"[^\s@,;:<>()\[\]\\\"]{1,64}@[^\s@,;:<>()\[\]\\\"]{1,190}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _one_line(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("use a single line")
    return value


def _address(value: str) -> str:
    if value and not _EMAIL.fullmatch(value):
        raise ValueError("this is not an e-mail address")
    return value


class SelectionBody(Body):
    """What goes with a submission; nothing of it has to be given."""

    name: Annotated[
        str, StringConstraints(max_length=100, strip_whitespace=True), AfterValidator(_one_line), Storable
    ] = ""
    email: Annotated[
        str, StringConstraints(max_length=254, strip_whitespace=True), AfterValidator(_address), Storable
    ] = ""
    note: Annotated[str, StringConstraints(max_length=2000, strip_whitespace=True), Storable] = ""

    def submission(self) -> Submission:
        """As the service takes it."""
        return Submission(self.name or None, self.email or None, self.note)


def token(request: Request, share: Share) -> str | None:
    """What this browser brings for this link."""
    return request.cookies.get(linkcookies.name_of("picks", share.id))


def admitted(request: Request, visit: LiveVisit, config: Config) -> Visit:
    """A visit that may change its favourites. Raises PasswordRequired, and Forbidden for another site's request."""
    visit.admit()
    refuse_other_sites(request, config)
    return visit


PickingVisit = Annotated[Visit, Depends(admitted)]


def changed(response: Response, visit: Visit, picked: Picked) -> dict[str, int | None]:
    """The answer to a change: "12 of 20"; and the cookie of a selection that has just begun."""
    response.headers["Cache-Control"] = "no-store"
    if picked.token is not None:
        visit.keep(response, "picks", picked.token, KEPT_SECONDS)
        visit.introduce(response)
    return {"count": picked.count, "limit": visit.share.max_favourites}


SelectionQuery = Annotated[
    str | None,
    Query(max_length=64, description="Only a selection's photos: `mine` (the cookie's), or a selection's id"),
]


def chosen(request: Request, visit: LiveVisit, connection: Db, selection: SelectionQuery = None) -> uuid.UUID | None:
    """The selection that a visitor wants to download, None for the whole gallery.

    A visitor who has picked nothing has an empty one. Raises PasswordRequired, NotFound.
    """
    if selection is None:
        return None
    share = visit.admit()
    if selection == MINE:
        return favourites.own(connection, share, token(request, share)) or _EMPTY
    return favourites.named(connection, share, selection)


ChosenPhotos = Annotated[uuid.UUID | None, Depends(chosen)]


def of_gallery(connection: Connection, gallery_id: uuid.UUID, selection: str | None) -> uuid.UUID | None:
    """The selection that the photographer wants to download, None for the whole gallery. Raises NotFound."""
    if selection is None:
        return None
    if selection == MINE:
        raise NotFound
    return favourites.in_gallery(connection, gallery_id, selection)
