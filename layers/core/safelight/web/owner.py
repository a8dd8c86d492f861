"""The photographer at the streaming function, whose visitors must not pay for what recognises her."""

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from safelight.config import settings
from safelight.telemetry import note
from safelight.web.schemes import AccessToken, ApiKey


@dataclass(frozen=True, slots=True)
class Own:
    """The caller's gallery, in what an archive needs of it."""

    gallery_id: uuid.UUID
    title: str


def get_own(request: Request, gallery_id: uuid.UUID, token: AccessToken, key: ApiKey) -> Own:
    """The caller's gallery of the path, by the very same decision as everywhere. Raises Unauthorized, NotFound."""
    # Only here: visitors' requests to the same function need neither the ORM nor a token library.
    from safelight.db.engine import transaction
    from safelight.web import deps

    with transaction() as session:
        caller = deps.recognise(request, session, settings(), token, key, whole=False)
        gallery = deps.get_gallery(session, caller.user, gallery_id)
        note(gallery_id=gallery.id)
        return Own(gallery.id, gallery.title)


OwnGallery = Annotated[Own, Depends(get_own)]
