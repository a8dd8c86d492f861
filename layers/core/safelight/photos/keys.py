"""Where a photo's bytes are. Every key follows from ids, so nothing that a user typed ever names an object."""

import uuid

INCOMING = "incoming/"
RENDITIONS = ("thumb", "preview", "large", "grayscale")


def incoming(photo_id: uuid.UUID) -> str:
    """Where the client posts; never served."""
    return f"{INCOMING}{photo_id}"


def original(gallery_id: uuid.UUID, photo_id: uuid.UUID) -> str:
    """The verified upload; written once."""
    return f"originals/{gallery_id}/{photo_id}"


def rendition(gallery_id: uuid.UUID, photo_id: uuid.UUID, name: str) -> str:
    """A picture made from it."""
    return f"renditions/{gallery_id}/{photo_id}/{name}.jpg"


def of_photo(gallery_id: uuid.UUID, photo_id: uuid.UUID) -> list[str]:
    """Everything that may exist for a photo."""
    made = [rendition(gallery_id, photo_id, name) for name in RENDITIONS]
    return [incoming(photo_id), original(gallery_id, photo_id), *made]
