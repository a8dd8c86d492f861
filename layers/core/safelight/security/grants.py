"""A visitor's grant: proof that this share's password was given, under this version of its policy."""

import base64
import datetime as dt
import hmac
import uuid

from safelight.security.subkeys import subkey

LIFETIME = dt.timedelta(hours=12)


def _mac(share_id: uuid.UUID, policy_version: int, expires: int, secret: str) -> str:
    key = subkey(secret, "grant")
    message = f"{share_id}.{policy_version}.{expires}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")).rstrip(b"=").decode()


def make_grant(share_id: uuid.UUID, policy_version: int, secret: str, now: dt.datetime) -> str:
    """The value of the grant cookie."""
    expires = int((now + LIFETIME).timestamp())
    return f"{expires}.{_mac(share_id, policy_version, expires, secret)}"


def is_granted(grant: str | None, share_id: uuid.UUID, policy_version: int, secret: str, now: dt.datetime) -> bool:
    """Whether `grant` opens this share now; a changed policy, another share or a late hour does not."""
    expires, _, mac = (grant or "").partition(".")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12) or int(expires) <= now.timestamp():
        return False
    expected = _mac(share_id, policy_version, int(expires), secret)
    return hmac.compare_digest(mac.encode(), expected.encode())
