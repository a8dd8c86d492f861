"""Structured logs: JSON lines by Powertools' formatter, with the request's identifiers on every one.

What is being worked on (`correlation_id`, `share_id`, `gallery_id`, `job_id` …) is kept per request or job in a context
variable, so that lines from threads and from concurrent requests carry their own.

Of an error a line tells the kind and the places, never the message: drivers and libraries quote what they were given,
and that may be a password, a token or an address.
"""

import logging
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from aws_lambda_powertools import Logger

_context: ContextVar[dict[str, Any] | None] = ContextVar("safelight_log_context", default=None)


_CODE = re.compile(r"[A-Za-z0-9_.]{1,60}")


class _ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            # For every handler that comes after this one, too.
            error, record.exc_info, record.exc_text = record.exc_info[1], None, None
            record.__dict__["exception_name"] = type(error).__name__
            record.__dict__["exception"] = outline(error)
        for name, value in (_context.get() or {}).items():
            if name not in record.__dict__:
                record.__dict__[name] = value
        return True


def outline(error: BaseException) -> str:
    """Kinds and codes of an error and of what led to it, the last one first, each with its places, innermost last."""
    lines: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines.append(kind(cause))
        places = traceback.extract_tb(cause.__traceback__)
        lines += [f"  {place.filename}:{place.lineno} in {place.name}" for place in places]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(lines)


def kind(error: BaseException) -> str:
    """What an error is, without its message: its class and its codes."""
    return " ".join([f"{type(error).__module__}.{type(error).__qualname__}", *_codes(error)])


def _codes(error: BaseException) -> list[str]:
    # Ours; an operating system's; Postgres's SQLSTATE, table and constraint, by the protocol's letters.
    found = [getattr(error, "code", None), getattr(error, "errno", None)]
    fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    found += [fields.get(letter) for letter in "Ctn"]
    return [str(code) for code in found if code is not None and _CODE.fullmatch(str(code))]


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The parent of every `safelight.*` logger; made once, on first use."""
    made = Logger(service="safelight", utc=True, serialize_stacktrace=False)
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
