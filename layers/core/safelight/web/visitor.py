"""What a visitor's routes need: the live link and the decision about it, without the ORM or a token library."""

import datetime as dt
import gzip
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pg8000.native import Connection
from pydantic import Field
from starlette.responses import Response

from safelight import clock, storage
from safelight.config import Settings, settings
from safelight.db import driver
from safelight.errors import Unauthorized
from safelight.security.grants import LIFETIME, is_granted, make_grant
from safelight.security.visitorcookies import LIFETIME as VISITOR_LIFETIME
from safelight.security.visitorcookies import VisitorCookie, make_cookie, read_cookie
from safelight.shares import downloads, limits, links, visits
from safelight.shares.visitors import Identity, Visitor, salts
from safelight.shares.visits import Share
from safelight.storage.signer import Signer
from safelight.telemetry import note
from safelight.text import Body
from safelight.web import linkcookies
from safelight.web.caller import address
from safelight.web.negotiate import accepts

Config = Annotated[Settings, Depends(settings)]
Now = Annotated[dt.datetime, Depends(clock.now)]
PublicSigner = Annotated[Signer, Depends(storage.signer)]

Address = Annotated[str | None, Depends(address)]

_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")
COMPRESS_FROM = 1024


def get_connection() -> Iterator[Connection]:
    """The request's transaction, committed before the answer."""
    with driver.connection() as connection:
        yield connection


Db = Annotated[Connection, Depends(get_connection, scope="function")]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request on a live link: the link, who asks, and what they bring."""

    share: Share
    who: Identity
    grant: str | None
    secret: str
    now: dt.datetime
    automatic: bool
    """A link preview or a crawler: it counts nothing and gets no download."""
    cookies: str
    """The header as it came, with those of other links."""

    def keep(self, response: Response, kind: linkcookies.Kind, value: str, seconds: int) -> None:
        """Give the visitor a cookie of this link, and drop old ones of other links when there are too many."""
        dropped = [] if "set-cookie" in response.headers else linkcookies.surplus(self.cookies, self.share.id)
        linkcookies.keep(response, linkcookies.name_of(kind, self.share.id), value, seconds)
        for name in dropped:
            linkcookies.keep(response, name, "", 0)

    def introduce(self, response: Response, held: bytes | None = None) -> None:
        """Give the visitor this link's cookie, unless they have one: at the first favourite or download.

        `held` is the hash under which that download is counted.
        """
        if self.who.has_cookie or self.automatic:
            return
        formerly, downloading = held or self.who.today, held is not None
        value = make_cookie(self.share.id, formerly, self.secret, self.now, downloading=downloading)
        left = self.share.expires_at - self.now if self.share.expires_at else VISITOR_LIFETIME
        self.keep(response, "visitor", value, int(min(left, VISITOR_LIFETIME).total_seconds()))

    def admit(self, size: visits.Size | None = None) -> Share:
        """The decision; see `visits.admit`."""
        return visits.admit(self.share, self.grant, self.secret, self.now, size=size)

    def admit_download(self, size: visits.Size) -> Share:
        """The decision about a file to keep. Raises NotForPreviews besides."""
        share = self.admit(size)
        if self.automatic:
            raise downloads.NotForPreviews
        return share


def get_visit(request: Request, connection: Db, config: Config, now: Now, share_id: str) -> Visit:
    """The live link of the path. Raises NotFound, and TooManyRequests for an address that misses too often."""
    secret, ip = config.token_secret, address(request)

    def cookie(found: Share) -> VisitorCookie | None:
        value = request.cookies.get(linkcookies.name_of("visitor", found.id))
        return read_cookie(value, found.id, secret, now)

    def is_known(found: Share) -> bool:
        grant = request.cookies.get(linkcookies.name_of("grant", found.id))
        return cookie(found) is not None or is_granted(grant, found.id, found.policy_version, secret, now)

    share = links.find(connection, secret, ip, share_id, is_known)
    note(share_id=share.id, gallery_id=share.gallery_id)
    visitor = Visitor(share.id, ip, request.headers.get("user-agent"), cookie(share))
    who = visitor.identity(secret, salts(connection, now), now)
    grant = request.cookies.get(linkcookies.name_of("grant", share.id))
    cookies = "; ".join(request.headers.getlist("cookie"))
    return Visit(share, who, grant, secret, now, _automatic(request), cookies)


def _automatic(request: Request) -> bool:
    purposes = [value for name in _PURPOSES for value in request.headers.getlist(name)]
    return downloads.automatic(request.headers.get("user-agent"), purposes)


LiveVisit = Annotated[Visit, Depends(get_visit)]


def json_response(request: Request, content: bytes) -> Response:
    """JSON, compressed when the client can: a thousand signed URLs shrink twentyfold even at gzip's fastest."""
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept, Accept-Encoding"}
    if len(content) >= COMPRESS_FROM and accepts(request.headers.get("accept-encoding"), "gzip"):
        content = gzip.compress(content, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type="application/json")


class UnlockBody(Body):
    """The password of a locked link."""

    password: Annotated[str, Field(min_length=1, max_length=1024)]


def unlocked(visit: Visit, body: UnlockBody, response: Response, connection: Connection, ip: str | None) -> None:
    """Give the visitor the link's grant; nothing to do for an open link. Raises WrongPassword, TooManyRequests."""
    share = visit.share
    if share.password_hash is None:
        return
    # Only here: the path that merely looks at photos need not load bcrypt.
    from safelight.security.passwords import verify_password

    with limits.unlock(connection, visit.secret, ip, share.id):
        if not verify_password(unicodedata.normalize("NFC", body.password), share.password_hash):
            raise WrongPassword
    value = make_grant(share.id, share.policy_version, visit.secret, visit.now)
    visit.keep(response, "grant", value, int(LIFETIME.total_seconds()))


class WrongPassword(Unauthorized):
    code = "wrong_password"
    title = "This is not the gallery's password"
