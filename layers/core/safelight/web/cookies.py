"""The refresh token's cookie."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response

from safelight.accounts.schemas import RefreshRequest, TokenPair
from safelight.config import Settings, settings
from safelight.security.tokens import REFRESH_LIFETIME
from safelight.web.origin import is_other_site, refuse_other_sites


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie that a request brings and its answer sets."""

    request: Request
    response: Response
    config: Annotated[Settings, Depends(settings)]

    @property
    def _name(self) -> str:
        # Browsers take a `__Host-` cookie only over HTTPS, which a plain-HTTP localhost does not have.
        return "__Host-safelight_refresh" if self._secure else "safelight_refresh"

    @property
    def _secure(self) -> bool:
        return self.config.is_https

    def keep(self, pair: TokenPair) -> TokenPair:
        """Hand the browser its refresh token; the answer that carries it must not be kept by any cache.

        Another site's form gets no cookie: it could sign somebody in to an account that is not hers (login CSRF).
        """
        self.response.headers["Cache-Control"] = "no-store"
        if not is_other_site(self.request, self.config):
            self.response.set_cookie(
                self._name,
                pair.refresh_token,
                max_age=int(REFRESH_LIFETIME.total_seconds()),
                path="/",
                httponly=True,
                secure=self._secure,
                samesite="strict",
            )
        return pair

    def clear(self) -> None:
        """Take it back; not for another site's form, which could sign somebody out (logout CSRF)."""
        if not is_other_site(self.request, self.config):
            self.response.delete_cookie(self._name, path="/", httponly=True, secure=self._secure, samesite="strict")

    def given(self, body: RefreshRequest) -> str | None:
        """The token from the body, else from the cookie. Raises Forbidden when another site sends the cookie along."""
        if body.refresh_token:
            return body.refresh_token
        token = self.request.cookies.get(self._name)
        if token is not None:
            refuse_other_sites(self.request, self.config)
        return token


RefreshCookie = Annotated[Cookie, Depends()]
