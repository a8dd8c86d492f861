"""The refresh token's cookie."""

from fastapi import Request, Response

from safelight.accounts.schemas import RefreshRequest
from safelight.config import Settings
from safelight.security.tokens import REFRESH_LIFETIME
from safelight.web.origin import is_other_site, refuse_other_sites


def _name(config: Settings) -> str:
    # Browsers take a `__Host-` cookie only over HTTPS, which a plain-HTTP localhost does not have.
    return "__Host-safelight_refresh" if config.base_url.startswith("https:") else "safelight_refresh"


def set_refresh(request: Request, response: Response, config: Settings, token: str) -> None:
    """Hand the browser its refresh token; the answer that carries it must not be kept by any cache.

    Another site's form gets no cookie: it could sign somebody in to an account that is not hers (login CSRF).
    """
    response.headers["Cache-Control"] = "no-store"
    if is_other_site(request, config):
        return
    response.set_cookie(
        _name(config),
        token,
        max_age=int(REFRESH_LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        secure=config.base_url.startswith("https:"),
        samesite="strict",
    )


def clear_refresh(response: Response, config: Settings) -> None:
    """Take it back."""
    secure = config.base_url.startswith("https:")
    response.delete_cookie(_name(config), path="/", httponly=True, secure=secure, samesite="strict")


def given_refresh(request: Request, config: Settings, body: RefreshRequest | None) -> str | None:
    """The token from the body, else from the cookie. Raises Forbidden when another site sends the cookie along."""
    if body is not None and body.refresh_token:
        return body.refresh_token
    token = request.cookies.get(_name(config))
    if token is not None:
        refuse_other_sites(request, config)
    return token
