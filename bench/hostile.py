"""Hostile request bodies of any size, for `bench.refusals` and the tests that count what they cause."""

from collections.abc import Callable, Iterator
from functools import lru_cache

OVER = 10 * 1024 * 1024
"""Bytes of a body that no route accepts: the most that API Gateway lets through."""
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

type Shape = Callable[[int], bytes]


def filled(start: str, unit: str, end: str) -> Shape:
    """JSON of the size that is asked for: `unit` again and again, then blanks. `#` is a running number."""

    def made(size: int) -> bytes:
        room, pieces = size - len(start) - len(end) - 8, []
        number = 0
        while room > 0:
            pieces.append(unit.replace("#", f"{number:x}"))
            room -= len(pieces[-1].encode()) + 1
            number += 1
        text = (start + ",".join(pieces[:-1]) + end).encode()
        return text + b" " * (size - len(text))

    return made


def plain(start: bytes, unit: bytes, end: bytes) -> Shape:
    """One long value: `unit` again and again."""

    def made(size: int) -> bytes:
        text = start + unit * ((size - len(start) - len(end)) // len(unit)) + end
        return text + b" " * (size - len(text))

    return made


def items(unknown: int) -> Shape:
    """A batch of a hundred photos, each with so many unknown fields, all tags wrong."""
    fields = ",".join(f'"u{number}":1' for number in range(unknown))
    photo = f'{{"filename":1,"file_size":"x","tags":[{",".join("1" * 50)}],{fields}}}'

    def made(size: int) -> bytes:
        text = f'{{"photos":[{",".join([photo] * 100)}]}}'.encode()
        return text if len(text) <= size else b""

    return made


def last_unknown(size: int) -> bytes:
    """A batch whose photos are right and full of text, the last field alone unknown."""
    photo = (
        f'{{"filename":"x.jpg","content_type":"image/jpeg","file_size":1,"description":"{r"\ud83d\udcf7" * 3_300}"}}'
    )
    return filled('{"photos":[', photo, '],"unknown":1}')(size).rstrip() if size > 2 * len(photo) else b""


SHAPES: dict[str, Shape] = {
    "unknown fields": filled("{", '"#":1', "}"),
    "as many as may be": lambda size: filled("{", '"#":1', "}")(min(size, 16_000)),
    "nested objects": filled('{"photos":[', '{"#":{}}', "]}"),
    "unknown in items": items(16),
    "wrong items": filled('{"photos":[', "1", "]}"),
    "wrong tags": filled('{"tags":[', "1", "]}"),
    "settings": filled('{"settings":{', '"#":[]', "}}"),
    "empty lists": filled("[", "[]", "]"),
    "deep lists": plain(b"", b"[", b""),
    "deep objects": plain(b"", b'{"a":', b""),
    "one long text": plain(b'{"title":"', b"x", b'"}'),
    "escapes": plain(b'{"title":"', b"\\\\", b'"}'),
    "escapes, commas": plain(b'{"title":"', b'\\",', b'"}'),
    "a long number": plain(b'{"title":', b"9", b"}"),
    "a long fraction": plain(b'{"title":0.', b"3", b"}"),
    "same field": plain(b'{"title":"x"', b',"title":"x"', b',"other":1}'),
    "wide characters": plain('{"title":"\N{CAMERA}'.encode(), b"x", b'"}'),
    "long texts": filled("{", f'"#":"{"x" * 6_000}"', "}"),
    "a list of texts": filled('{"photos":[', f'"{"x" * 60_000}"', "]}"),
    "a list of escapes": filled('{"photos":[', '"' + r"\\" * 30_000 + '"', "]}"),
    "texts of digits": filled('{"photos":[', '{"file_size":"' + "9" * 40_000 + '"}', "]}"),
    "unknown at the end": last_unknown,
    "marks to sort": lambda size: filled(
        '{"photos":[', '{"description":"a' + "\u0301" * 2499 + "\u0323" * 2499 + '"}', "]}"
    )(min(size, 1_000_000)).rstrip(),
}
"""Shapes of JSON; the last ones have the form of a full batch for as long as possible."""

FORMS: dict[str, Shape] = {
    "form fields": plain(b"username=a", b"&a=1", b""),
    "form escapes": plain(b"username=", b"%41", b""),
}

MULTIPART = plain(b"", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n', b"--x--\r\n")


def against(route: str, limit: int) -> Iterator[tuple[str, str, bytes]]:
    """Name, media type and body of each attack on this route, of `limit` bytes, and one that is too large."""
    if route == "POST /auth/token":
        for name, shape in FORMS.items():
            yield name, FORM, shape(limit)
        yield "multipart", "multipart/form-data; boundary=x", MULTIPART(limit)
        return
    for name, shape in SHAPES.items():
        if body := shape(limit):
            yield name, JSON, body
    yield "not JSON", "text/plain", b" " * limit
    yield "10 MiB", JSON, largest()


@lru_cache(maxsize=1)
def largest() -> bytes:
    """Unknown fields that no route accepts."""
    return SHAPES["unknown fields"](OVER)
