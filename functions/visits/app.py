"""/s: what a visitor sees of a shared gallery."""

import uuid
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from safelight.shares import visits
from safelight.web import pages
from safelight.web.app import create_app, lambda_handler
from safelight.web.visitor import Config, Db, LiveVisit, PublicSigner, UnlockBody, json_response, unlocked

app = create_app("visits")


@app.head("/s/{share_id}", name="head_gallery")
@app.get("/s/{share_id}")
def view_gallery(
    request: Request,
    visit: LiveVisit,
    connection: Db,
    signer: PublicSigner,
    config: Config,
    limit: Annotated[int, Query(ge=1, le=visits.MAX_LISTED)] = visits.MAX_LISTED,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """The gallery behind a link and its photos; opening its first page counts as a view,
    unless a link preview or a crawler does it. HEAD counts nothing."""
    if pages.wants_page(request):
        return pages.gallery(signer.address.origin)
    share = visit.admit()
    body = visits.listing(connection, signer, share, limit, cursor, config.base_path)
    if cursor is None and request.method == "GET" and not visit.automatic:
        visits.record(connection, share, "view", visit.visitor)
    return json_response(request, body)


@app.post("/s/{share_id}/unlock", status_code=204)
def unlock(body: UnlockBody, visit: LiveVisit, response: Response) -> None:
    """Give a locked link's password; the answer's cookie opens it on every path."""
    unlocked(visit, body, response)


@app.get("/s/{share_id}/photos/{photo_id}", status_code=307, response_class=RedirectResponse)
def view_photo(visit: LiveVisit, photo_id: uuid.UUID, connection: Db, signer: PublicSigner) -> str:
    """Go to a photo at the largest size the link allows to look at."""
    share = visit.admit()
    return visits.full_url(signer, share, visits.photo(connection, share, photo_id))


@app.get("/s/{share_id}/download/{photo_id}", status_code=307, response_class=RedirectResponse)
def download_photo(visit: LiveVisit, photo_id: uuid.UUID, connection: Db, signer: PublicSigner) -> str:
    """Go to a photo as a file to keep; counts as a download."""
    share = visit.admit_download("web")
    shown = visits.photo(connection, share, photo_id)
    visits.record(connection, share, "single_download", visit.visitor, photo_id=photo_id)
    return visits.download_url(signer, share, shown)


handler = lambda_handler(app)
