"""The value of a visitor's cookie: it distinguishes the visitors of one link, and means nothing on other links.

The service signs what it gives out. A value that was not issued for the link is therefore no cookie, and nothing about
cookies has to be stored.
"""

import base64
import binascii
import datetime as dt
import hmac
import secrets
import struct
import uuid
from dataclasses import dataclass

from safelight.security.subkeys import subkey

LIFETIME = dt.timedelta(days=30)

_LAYOUT = struct.Struct("!BI16s16s")
_MAC_BYTES = 16
_LENGTH = len(base64.urlsafe_b64encode(bytes(_LAYOUT.size + _MAC_BYTES)).rstrip(b"="))


@dataclass(frozen=True, slots=True)
class VisitorCookie:
    """What a cookie holds.

    `name` is 128 random bits. `formerly` is the hash by which the visitor was counted without the cookie, on the day of
    `issued`. `downloading` is whether a download was counted under that hash when the cookie was given.
    """

    name: bytes
    issued: dt.datetime
    formerly: bytes
    downloading: bool


def make_cookie(share_id: uuid.UUID, formerly: bytes, secret: str, now: dt.datetime, *, downloading: bool) -> str:
    """The value of a new visitor's cookie, 71 characters."""
    payload = _LAYOUT.pack(downloading, int(now.timestamp()), secrets.token_bytes(16), formerly)
    return base64.urlsafe_b64encode(payload + _mac(share_id, payload, secret)).rstrip(b"=").decode()


def read_cookie(value: str | None, share_id: uuid.UUID, secret: str, now: dt.datetime) -> VisitorCookie | None:
    """What this value holds; None for one that was not issued for this link, or more than `LIFETIME` ago."""
    # Its length first: nothing is computed over a value that is too long.
    if value is None or len(value) != _LENGTH:
        return None
    try:
        signed = base64.urlsafe_b64decode(f"{value}{'=' * (-_LENGTH % 4)}")
    except (ValueError, binascii.Error):
        return None
    payload, mac = signed[: _LAYOUT.size], signed[_LAYOUT.size :]
    if not hmac.compare_digest(mac, _mac(share_id, payload, secret)):
        return None
    downloading, seconds, name, formerly = _LAYOUT.unpack(payload)
    issued = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return VisitorCookie(name, issued, formerly, bool(downloading)) if now - issued < LIFETIME else None


def _mac(share_id: uuid.UUID, payload: bytes, secret: str) -> bytes:
    return hmac.digest(subkey(secret, "visitor cookie"), share_id.bytes + payload, "sha256")[:_MAC_BYTES]
