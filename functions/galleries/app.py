"""/galleries and /share-links."""

from typing import Annotated, Any

from fastapi import Query, Response

from safelight.events import service as events
from safelight.events.schemas import EventOut
from safelight.galleries import service
from safelight.galleries.schemas import GalleryCreate, GalleryOut, GalleryPatch
from safelight.pages import Page
from safelight.shares import selections
from safelight.shares import service as shares
from safelight.shares.schemas import ExportFormat, SelectionOut, ShareCreate, ShareOut, SharePatch, ShareStats
from safelight.web.app import create_app, lambda_handler
from safelight.web.deps import (
    PAGE,
    Config,
    CurrentUser,
    Cursor,
    DbSession,
    Limit,
    Now,
    OwnGallery,
    OwnShare,
    SlugChooser,
)
from safelight.web.reports import locate_report

app = create_app("galleries")
EXPORTS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}, "text/csv": {}}}}


@app.post("/galleries", status_code=201)
def create_gallery(request: GalleryCreate, user: CurrentUser, session: DbSession) -> GalleryOut:
    """Make an empty gallery."""
    return service.create(session, user.id, request)


@app.get("/galleries")
def list_galleries(
    user: CurrentUser, session: DbSession, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[GalleryOut]:
    """My galleries, newest first."""
    return service.list_page(session, user.id, limit, cursor)


@app.get("/events")
def list_events(user: CurrentUser, session: DbSession, limit: Limit = PAGE, cursor: Cursor = None) -> Page[EventOut]:
    """What happened after `cursor`, oldest first: photos that are ready, favourites that were submitted."""
    return events.list_page(session, user.id, limit, cursor)


@app.get("/galleries/{gallery_id}")
def get_gallery(gallery: OwnGallery, session: DbSession) -> GalleryOut:
    """One gallery."""
    return service.show(session, gallery)


@app.patch("/galleries/{gallery_id}")
def update_gallery(patch: GalleryPatch, gallery: OwnGallery, session: DbSession) -> GalleryOut:
    """Change a gallery's title, description or cover."""
    return service.update(session, gallery, patch)


@app.delete("/galleries/{gallery_id}", status_code=204)
def delete_gallery(gallery: OwnGallery, response: Response, session: DbSession, now: Now) -> None:
    """Delete a gallery with its photos and links; `Location` is the report of it."""
    locate_report(response, service.delete(session, gallery, now))


@app.post("/galleries/{gallery_id}/share-links", status_code=201)
def create_share_link(
    request: ShareCreate, gallery: OwnGallery, chooser: SlugChooser, session: DbSession, config: Config, now: Now
) -> ShareOut:
    """Make a link to a gallery."""
    return shares.create(session, gallery.id, request, chooser, config.base_url, now)


@app.get("/galleries/{gallery_id}/share-links")
def list_share_links(
    gallery: OwnGallery, session: DbSession, config: Config, limit: Limit = PAGE, cursor: Cursor = None
) -> Page[ShareOut]:
    """A gallery's links, newest first."""
    return shares.list_page(session, gallery.id, limit, cursor, config.base_url)


@app.get("/share-links/{share_id}")
def get_share_link(share: OwnShare, config: Config) -> ShareOut:
    """One link with its counters."""
    return shares.show(share, config.base_url)


@app.patch("/share-links/{share_id}")
def update_share_link(
    patch: SharePatch, share: OwnShare, chooser: SlugChooser, session: DbSession, config: Config, now: Now
) -> ShareOut:
    """Change a link's policy."""
    return shares.update(session, share, patch, chooser, config.base_url, now)


@app.delete("/share-links/{share_id}", status_code=204)
def delete_share_link(share: OwnShare, session: DbSession) -> None:
    """Delete a link and its history."""
    shares.delete(session, share)


@app.get("/share-links/{share_id}/stats")
def share_link_stats(share: OwnShare, session: DbSession) -> ShareStats:
    """Totals and a series by day."""
    return shares.stats(session, share)


@app.get("/share-links/{share_id}/selections", response_model=Page[SelectionOut], responses=EXPORTS)
def list_selections(
    share: OwnShare,
    session: DbSession,
    limit: Limit = PAGE,
    cursor: Cursor = None,
    selection: Annotated[str | None, Query(max_length=64, description="Only this one")] = None,
    kind: Annotated[
        ExportFormat | None, Query(alias="format", description="As a file: names for Lightroom, or a table")
    ] = None,
) -> Page[SelectionOut] | Response:
    """Who picked what on a link."""
    if kind is None:
        return selections.list_page(session, share[0].id, selection, limit, cursor)
    made = selections.export(session, share[0], selection, kind)
    headers = {"Content-Disposition": made.disposition, "Cache-Control": "private, no-store"}
    return Response(made.content, headers=headers, media_type=made.media_type)


handler = lambda_handler(app)
