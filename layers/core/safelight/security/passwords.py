"""Passwords: bcrypt at cost 12, verified in the same time whether the account exists or not."""

import bcrypt

COST = 12
MAX_BYTES = 72  # bcrypt reads no further; longer ones are refused rather than cut


def hash_password(password: str) -> str:
    """A salted bcrypt hash. Raises ValueError beyond 72 bytes."""
    encoded = password.encode()
    if len(encoded) > MAX_BYTES:
        raise ValueError(f"a password has at most {MAX_BYTES} bytes")
    return bcrypt.hashpw(encoded, bcrypt.gensalt(COST)).decode()


# The salt and the hash of a random password that was thrown away: what nobody's password is compared with. Made here
# rather than at the first unknown name, which would otherwise take twice as long as all others.
_NOBODY = "mCB/DzweTpXAa0DUO3JRwO4kKp2ypconiGEEmBfjwE7162vzfcv4K"


def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether they match; with no hash it works as long and says no, so that time tells nothing about accounts."""
    encoded = password.encode()
    compared = password_hash or f"$2b${COST:02d}${_NOBODY}"
    # Compared even when the answer is clear: a long password would else tell known accounts from unknown ones.
    matches = bcrypt.checkpw(encoded[:MAX_BYTES], compared.encode())
    return matches and password_hash is not None and len(encoded) <= MAX_BYTES
