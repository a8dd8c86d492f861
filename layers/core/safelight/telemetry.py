"""Structured logs: JSON lines by Powertools' formatter, with the request's identifiers on every one.

What is being worked on (`correlation_id`, `share_id`, `gallery_id`, `job_id` …) is kept per request or job in a context
variable, so that lines from threads and from concurrent requests carry their own.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from aws_lambda_powertools import Logger

_context: ContextVar[dict[str, Any] | None] = ContextVar("safelight_log_context", default=None)


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in (_context.get() or {}).items():
            if name not in record.__dict__:
                record.__dict__[name] = value
        return True


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The parent of every `safelight.*` logger; made once, on first use."""
    made = Logger(service="safelight", utc=True)
    made.registered_handler.addFilter(_ContextFilter())
    formatter = made.registered_handler.formatter
    if formatter is not None:
        # Powertools prints local time whatever `utc` says unless the formatter's own converter agrees.
        formatter.converter = time.gmtime
    return made


@contextmanager
def log_context(**fields: Any) -> Iterator[dict[str, Any]]:
    """Lines logged inside carry `fields`, and whatever `note` adds meanwhile."""
    context = {**(_context.get() or {}), **fields}
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def note(**fields: Any) -> None:
    """Add fields to the present context: the dictionary is shared with the threads that the request uses."""
    context = _context.get()
    if context is not None:
        context.update({name: str(value) for name, value in fields.items()})
