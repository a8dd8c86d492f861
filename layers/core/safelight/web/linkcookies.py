"""Cookies that belong to one link: the visitor's, the grant of a locked link, and the one that holds favourites."""

from fastapi import Response

from safelight.config import settings


def keep(response: Response, name: str, value: str, seconds: int) -> None:
    """Have the browser keep a cookie that no script can read, for the paths of visitors alone."""
    config = settings()
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        # A link has two addresses, by its id and by its slug, so its cookies cannot be bound to one of them.
        path=f"{config.base_path}/s/",
        httponly=True,
        secure=config.is_https,
        samesite="lax",  # the link is followed from an e-mail or a chat; strict would not send it then
    )
