"""Reading a JSON body at a bounded cost, whatever it holds."""

import codecs
from typing import Any

from pydantic_core import from_json

MAX_VALUES = 30_000
"""How many values a body may hold. A hundred photos with all their tags have 6,000, 1 MiB of ids 27,000.

A list of a million empty lists has 3 MB as text, and 90 MB in memory.
"""


def parse(body: bytes) -> Any:
    """What the text says. Raises ValueError, with a message that quotes nothing of it.

    The parser works on the bytes, without a copy as `str`, and stops at 200 levels (pydantic_core, `from_json`).
    Strict JSON (RFC 8259): UTF-8, no NaN; a byte order mark is ignored, as section 8.1 allows.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    _limit_values(body)
    return from_json(body, allow_inf_nan=False, cache_strings="none")


def _limit_values(body: bytes) -> None:
    # Every value but the first follows one of these. Commas in texts are counted along, which is exact enough for
    # nearly all bodies, and costs no copy.
    if _separators(body) <= MAX_VALUES:
        return
    # Without escapes, every second piece between quotes is outside of a string. What has more strings than so many
    # values could have is no JSON, or too much of it.
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if plain.count(b'"') > 4 * MAX_VALUES or _separators(b"".join(plain.split(b'"')[::2])) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values: send fewer at a time")


def _separators(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")
