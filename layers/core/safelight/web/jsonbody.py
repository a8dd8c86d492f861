"""Reading a JSON body at a bounded cost."""

import json
from typing import Any

from safelight.errors import Invalid

MAX_VALUES = 30_000
"""How many values a body may hold. A hundred photos with all their tags have 6,000, 1 MiB of ids 27,000.

A list of a million empty lists has 3 MB as text, and 90 MB in memory.
"""

MAX_FIELDS = 2_000
"""How many fields all its objects may have. A hundred photos have 701, settings of 8 KiB at most 1,638."""
BEGINNING = 512 * 1024
"""Bytes that are looked at first."""

_TOO_MANY = f"It holds more than {MAX_VALUES:,} values or {MAX_FIELDS:,} fields: send fewer at a time"


class Outsized(Invalid):
    title = "This request holds more than any of its fields takes"


def parse(body: bytes) -> Any:
    """What the text says. Raises Outsized, and ValueError with a message that quotes nothing of it.

    JSON as RFC 8259 has it: UTF-8 and no NaN; a byte order mark is ignored, as section 8.1 allows.
    """
    check_beginning(body)
    if len(body) > BEGINNING and _has_more(body):
        raise Outsized(_TOO_MANY)
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:
        raise ValueError("a number has too many digits, or is none") from None


def _refuse(_constant: str) -> Any:
    raise ValueError


def check_beginning(body: bytes | bytearray) -> None:
    """Refuse a body by its beginning, where most that is wrong with a large one shows. Raises Outsized."""
    if _has_more(bytes(body[:BEGINNING])):
        raise Outsized(_TOO_MANY)


def _has_more(text: bytes) -> bool:
    """Whether JSON that begins so has too many values or fields, or more quotes than so many values could have."""
    # What stands within strings is counted along, which is exact enough for nearly all bodies, and costs no copy.
    if not _is_over(text):
        return False
    if text.count(b'"') - text.count(b"\\") > 4 * MAX_VALUES:
        return True
    # Without escapes, every second piece between quotes is outside of a string.
    plain = text.replace(rb"\\", b"").replace(rb"\"", b"")
    return plain.count(b'"') > 4 * MAX_VALUES or _is_over(b"".join(plain.split(b'"')[::2]))


def _is_over(text: bytes) -> bool:
    # Every value but the first follows a comma or a bracket, every field has a colon.
    return text.count(b":") > MAX_FIELDS or text.count(b",") + text.count(b"[") + text.count(b"{") > MAX_VALUES
