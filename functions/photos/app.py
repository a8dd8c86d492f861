"""/galleries/{gallery_id}/photos and /photos."""

from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from safelight.pages import Page
from safelight.photos import service, upload
from safelight.photos.schemas import (
    KeyedUpload,
    PhotoBatch,
    PhotoCreate,
    PhotoOut,
    PhotoPatch,
    PhotoRefused,
    PhotoStatus,
    PhotoUpload,
    PhotoUploads,
    RenditionName,
)
from safelight.web import problems
from safelight.web.app import create_app, lambda_handler
from safelight.web.conditional import conditional
from safelight.web.deps import (
    PAGE,
    Cursor,
    DbSession,
    JobQueue,
    Limit,
    Now,
    OwnGallery,
    OwnLockedPhoto,
    OwnPhoto,
    PublicSigner,
    Store,
)

app = create_app("photos")


def refused(error: upload.Refusal) -> PhotoRefused:
    """What an item of a batch says instead of its photo."""
    return PhotoRefused.model_validate({"problem": problems.document(error)})


@app.post("/galleries/{gallery_id}/photos", status_code=201)
def create_photo(
    request: PhotoCreate, gallery: OwnGallery, session: DbSession, signer: PublicSigner, now: Now
) -> PhotoUpload:
    """Announce a photo and get the form to upload it with."""
    return upload.begin(session, signer, gallery, request, now)


@app.post("/galleries/{gallery_id}/photos/batch", status_code=201)
def create_photos(
    request: PhotoBatch, gallery: OwnGallery, session: DbSession, signer: PublicSigner, now: Now
) -> PhotoUploads:
    """Announce up to a hundred photos; each that is refused says why, and the others are taken."""
    made = upload.begin_all(session, signer, gallery, request.photos, now)
    return PhotoUploads(items=[one if isinstance(one, KeyedUpload) else refused(one) for one in made])


@app.get("/galleries/{gallery_id}/photos")
def list_photos(
    gallery: OwnGallery,
    session: DbSession,
    limit: Limit = PAGE,
    cursor: Cursor = None,
    status: PhotoStatus | None = None,
    tag: Annotated[str | None, Query(max_length=60, pattern="^[^\0]*$")] = None,
) -> Page[PhotoOut]:
    """A gallery's photos in their order."""
    return service.list_page(session, gallery.id, limit, cursor, status, tag)


@app.post("/photos/{photo_id}/complete")
def complete_photo(photo: OwnLockedPhoto, session: DbSession, store: Store, queue: JobQueue, now: Now) -> PhotoOut:
    """Say that the upload is done; processing starts."""
    return PhotoOut.model_validate(upload.complete(session, store, queue, photo, now))


@app.get("/photos/{photo_id}", response_model=PhotoOut)
def get_photo(photo: OwnPhoto, request: Request) -> Response:
    """One photo."""
    return conditional(request, service.etag(photo), PhotoOut.model_validate(photo))


@app.patch("/photos/{photo_id}")
def update_photo(patch: PhotoPatch, photo: OwnPhoto, session: DbSession) -> PhotoOut:
    """Change a photo's name, texts, tags or place."""
    return service.update(session, photo, patch)


@app.delete("/photos/{photo_id}", status_code=204)
def delete_photo(photo: OwnPhoto, session: DbSession, now: Now) -> None:
    """Delete a photo; it disappears from every link at once."""
    service.delete(session, photo, now)


@app.get("/photos/{photo_id}/renditions/{name}", status_code=307, response_class=RedirectResponse)
def get_rendition(photo: OwnPhoto, name: RenditionName, signer: PublicSigner) -> str:
    """Go to one of a photo's pictures."""
    return service.rendition_url(signer, photo, name)


handler = lambda_handler(app)
