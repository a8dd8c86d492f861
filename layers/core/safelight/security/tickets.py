"""A ticket names an archive to those who asked for it in one place, such as a link under its present policy.

An archive's digest is the same for every link of a gallery, so the digest alone must open nothing.
"""

import hmac

from safelight.security.subkeys import subkey

DIGEST_LENGTH, TICKET_LENGTH = 64, 96
"""Hexadecimal digits of an archive's digest, and of a ticket: the digest, then a MAC of 128 bits."""


def make_ticket(digest: str, scope: str, secret: str) -> str:
    """The ticket for this archive in this scope."""
    mac = hmac.digest(subkey(secret, "archive ticket"), f"{scope}|{digest}".encode(), "sha256")
    return digest + mac[:16].hex()


def read_ticket(ticket: str, scope: str, secret: str) -> str | None:
    """The archive's digest; None for any text that `make_ticket` did not make in this scope."""
    digest = ticket[:DIGEST_LENGTH]
    expected = make_ticket(digest, scope, secret)
    return digest if hmac.compare_digest(expected.encode(), ticket.encode(errors="replace")) else None
