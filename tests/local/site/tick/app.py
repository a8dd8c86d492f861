"""A scheduled function that keeps what it was called with."""

from typing import Any

events: list[dict[str, Any]] = []


def handler(event: dict[str, Any], _context: Any) -> None:
    """What Lambda calls."""
    events.append(event)
