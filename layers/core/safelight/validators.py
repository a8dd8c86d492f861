"""Validators of what is shown (RFC 9110, 8.8.3)."""

import hashlib


def strong_etag(*version: object) -> str:
    """A strong ETag, in quotes, that changes whenever any part of `version` does."""
    return f'"{hashlib.sha256("/".join(map(str, version)).encode()).hexdigest()[:32]}"'
