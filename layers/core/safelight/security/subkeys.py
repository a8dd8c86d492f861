"""Keys for one purpose each, out of the product's one secret; nothing here but the standard library."""

import hmac


def subkey(secret: str, purpose: str) -> bytes:
    """A 256-bit key for one purpose, derived from the product's secret."""
    return hmac.digest(secret.encode(), f"safelight/{purpose}/1".encode(), "sha256")
