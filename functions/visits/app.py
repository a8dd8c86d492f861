"""/s: what a visitor sees of a shared gallery."""

import uuid
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from safelight.shares import favourites, visits
from safelight.shares.favourites import Beginner
from safelight.web import pages
from safelight.web.app import create_app, lambda_handler
from safelight.web.keeping import download_response
from safelight.web.proofing import PickingVisit, SelectionBody, changed, token
from safelight.web.visitor import Address, Config, Db, LiveVisit, PublicSigner, UnlockBody, json_response, unlocked

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
    if not cursor and request.method == "GET" and not visit.automatic:
        who = visit.who
        visits.record(
            connection, share, "view", who.today, formerly=who.formerly, formerly_downloads=who.formerly_downloads
        )
    return json_response(request, body)


@app.post("/s/{share_id}/unlock", status_code=204)
def unlock(body: UnlockBody, visit: LiveVisit, response: Response, connection: Db, ip: Address) -> None:
    """Give a locked link's password; the answer's cookie opens it on every path."""
    unlocked(visit, body, response, connection, ip)


@app.get("/s/{share_id}/photos/{photo_id}", status_code=307, response_class=RedirectResponse)
def view_photo(
    visit: LiveVisit, photo_id: uuid.UUID, connection: Db, signer: PublicSigner, size: visits.Look = "large"
) -> str:
    """Go to a photo to look at, `large` unless another size is given. Where `large` is the file that the link hands out
    as a download (`download: web`, or an original that cannot be cleaned), the preview is the largest."""
    share = visit.admit()
    return visits.look_url(signer, share, visits.photo(connection, share, photo_id), size)


@app.head("/s/{share_id}/download/{photo_id}", name="head_photo", status_code=307, response_class=RedirectResponse)
@app.get("/s/{share_id}/download/{photo_id}", status_code=307, response_class=RedirectResponse)
def download_photo(
    request: Request, visit: LiveVisit, photo_id: uuid.UUID, connection: Db, signer: PublicSigner
) -> Response:
    """Go to a photo as a file to keep; counts as a download, once for all its parts."""
    return download_response(request, visit, photo_id, connection, signer)


@app.get("/s/{share_id}/favourites")
def view_favourites(request: Request, visit: LiveVisit, connection: Db) -> Response:
    """My favourites on this link, with their limit and what I submitted."""
    share = visit.admit()
    return json_response(request, favourites.listing(connection, share, token(request, share)))


@app.put("/s/{share_id}/favourites/{photo_id}")
def add_favourite(
    request: Request, response: Response, visit: PickingVisit, photo_id: uuid.UUID, connection: Db, ip: Address
) -> dict[str, int | None]:
    """Make a photo my favourite; the first one's answer brings a cookie that keeps them."""
    share, who = visit.share, Beginner(ip, visit.secret)
    picked = favourites.add(connection, share, token(request, share), who, photo_id)
    return changed(response, visit, picked)


@app.delete("/s/{share_id}/favourites/{photo_id}")
def remove_favourite(
    request: Request, response: Response, visit: PickingVisit, photo_id: uuid.UUID, connection: Db
) -> dict[str, int | None]:
    """Take a favourite back."""
    share = visit.share
    return changed(response, visit, favourites.remove(connection, share, token(request, share), photo_id))


@app.post("/s/{share_id}/selection")
def submit_selection(request: Request, visit: PickingVisit, body: SelectionBody, connection: Db) -> Response:
    """Tell the photographer that these favourites are the choice; may be said again after a change."""
    share = visit.share
    favourites.submit(connection, share, token(request, share), body.submission())
    return json_response(request, favourites.listing(connection, share, token(request, share)))


handler = lambda_handler(app)
