"""Passwords: bcrypt at cost 12, verified in the same time whether the account exists or not."""

from functools import lru_cache

import bcrypt

COST = 12
MAX_BYTES = 72  # bcrypt reads no further; longer ones are refused rather than cut


def hash_password(password: str) -> str:
    """A salted bcrypt hash. Raises ValueError beyond 72 bytes."""
    encoded = password.encode()
    if len(encoded) > MAX_BYTES:
        raise ValueError(f"a password has at most {MAX_BYTES} bytes")
    return bcrypt.hashpw(encoded, bcrypt.gensalt(COST)).decode()


@lru_cache(maxsize=1)
def _nobody() -> bytes:
    return bcrypt.hashpw(b"nobody has this password", bcrypt.gensalt(COST))


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether they match; with no hash it works as long and says no, so that time tells nothing about accounts."""
    encoded = password.encode()[:MAX_BYTES]
    if password_hash is None:
        bcrypt.checkpw(encoded, _nobody())
        return False
    return len(password.encode()) <= MAX_BYTES and bcrypt.checkpw(encoded, password_hash.encode())
