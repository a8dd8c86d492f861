"""Access tokens (JWT, RFC 7519) and refresh tokens (opaque)."""

import base64
import datetime as dt
import hashlib
import hmac
import uuid
from typing import NamedTuple

import jwt

from safelight.errors import Unauthorized
from safelight.security.subkeys import subkey

ALGORITHM = "HS256"
AUDIENCE = "safelight"
ACCESS_TYPE = "at+jwt"  # RFC 9068: the header says what the token is for, so no other token passes as one
ACCESS_LIFETIME = dt.timedelta(minutes=15)
REFRESH_LIFETIME = dt.timedelta(days=30)


class Access(NamedTuple):
    """What an access token says: whose it is, and of which session."""

    user_id: uuid.UUID
    session_id: uuid.UUID


def make_access_token(user_id: uuid.UUID, session_id: uuid.UUID, secret: str, now: dt.datetime) -> str:
    """A signed token that says who calls, for 15 minutes and no longer than the session lasts."""
    claims = {
        "sub": str(user_id),
        "sid": str(session_id),
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + ACCESS_LIFETIME,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, subkey(secret, "access"), ALGORITHM, headers={"typ": ACCESS_TYPE})


def read_access_token(token: str, secret: str) -> Access:
    """What a token says. Raises Unauthorized for anything but a fresh access token of ours."""
    try:
        decoded = jwt.decode_complete(
            token,
            subkey(secret, "access"),
            [ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["sub", "sid", "aud", "exp", "iat"]},
        )
        if decoded["header"].get("typ") != ACCESS_TYPE:
            raise Unauthorized("This is not an access token")
        return Access(uuid.UUID(decoded["payload"]["sub"]), uuid.UUID(decoded["payload"]["sid"]))
    except (jwt.InvalidTokenError, ValueError, AttributeError) as error:
        raise Unauthorized("The access token is not valid or has run out") from error


def make_refresh_token(family_id: uuid.UUID, generation: int, secret: str) -> str:
    """The token of one generation of a session: 256 bits that only the holder of the secret can make again.

    Derived rather than random, so that a client whose answer got lost can be given the same successor once more
    although only hashes are stored.
    """
    message = family_id.bytes + generation.to_bytes(8, "big")
    return base64.urlsafe_b64encode(hmac.digest(subkey(secret, "refresh"), message, "sha256")).rstrip(b"=").decode()


def refresh_token_hash(token: str) -> bytes:
    """What is stored. A token of 256 random-looking bits needs no slow hash (OWASP ASVS 5.0, 6.5.2)."""
    return hashlib.sha256(token.encode()).digest()
