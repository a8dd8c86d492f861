"""Where the bytes of an analysis are, as long as it is not finished. Photos bring their own."""

import uuid

PREFIX = "analyses/"


def upload(analysis_id: uuid.UUID) -> str:
    """Where the client posts; never served."""
    return f"{PREFIX}{analysis_id}/upload"


def preview(analysis_id: uuid.UUID) -> str:
    """The picture made from it, in which faces are looked for."""
    return f"{PREFIX}{analysis_id}/preview"


def analysis_of(key: str) -> uuid.UUID | None:
    """Whose object it is; None for a key that is nothing of ours."""
    try:
        return uuid.UUID(key.removeprefix(PREFIX).partition("/")[0])
    except ValueError:
        return None
