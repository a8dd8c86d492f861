"""What part of an archive a request asks for: Range and If-Range as RFC 9110 §13.1.5, §14.1 and §14.2 define them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Requested:
    """Bytes `start` up to but not including `stop`; `status` is what the answer carries. For 416 both are 0."""

    status: Literal[200, 206, 416]
    start: int
    stop: int


PROBE_BYTES = 2


def is_probe(requested: Requested) -> bool:
    """Whether only the first byte or two are asked for, to see what the server says."""
    return requested.status == 206 and requested.start == 0 and requested.stop <= PROBE_BYTES


def parse_range(
    header: str | None, if_range: str | None = None, *, size: int, etag: str, method: str = "GET"
) -> Requested:
    """The part of `size` bytes that the request headers ask for.

    The whole (200) is the answer to no Range, a malformed one, another unit, several ranges at once (a server may
    ignore them, §14.2), a method other than GET, and an If-Range that is not exactly our strong `etag` (a date
    never is, since archives carry no Last-Modified). A range that starts beyond the end is 416.
    """
    whole = Requested(200, 0, size)
    if method != "GET" or header is None or (if_range is not None and if_range.strip() != etag):
        return whole
    unit, equals, ranges = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return whole
    specs = [spec.strip(" \t") for spec in ranges.split(",")]
    specs = [spec for spec in specs if spec]  # §5.6.1.2: a recipient must accept empty list elements
    if len(specs) != 1:
        return whole
    first, dash, last = specs[0].partition("-")
    if not dash or not (first or last) or not all(part == "" or _is_digits(part) for part in (first, last)):
        return whole
    if not first:
        start, stop = max(size - _number(last), 0), size
    else:
        start = _number(first)
        stop = min(_number(last) + 1, size) if last else size
        if last and _number(last) < start:
            return whole
    return Requested(206, start, stop) if start < size else Requested(416, 0, 0)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(digits: str) -> int:
    """The value, or something larger than any archive: Python refuses to convert thousands of digits."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 20 else 10**20
