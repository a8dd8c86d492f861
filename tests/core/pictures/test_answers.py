"""What the worker makes of an answer in which a field has another type: it is refused, and costs next to nothing."""

import copy
import json
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from safelight.pictures import faces, wire
from safelight.pictures.faces import _load as load_faces
from safelight.pictures.render import render
from safelight.sandbox.wire import MAX_HEAD, READY, Garbled, frame, split
from tests.core.pictures.samples import jpeg

MIB = 1024 * 1024
DEEP = json.loads("[" * 300 + "]" * 300)
HOSTILE: list[Any] = [10**400, 8 * 10**8, -1, -0.5, 0.5, 1e300, float("nan"), "a", "0.5", True, [], {}, [1], DEEP, None]
NULLABLE = {("taken_at",), ("clean",)}
# A search for faces gives scores of either sign.
SIGNED = {("faces", 0, "score")}
# A clean file may be empty, or hold zeros in place of something else.
EMPTY = {("camera",), ("faces",)}
FREE = {("clean",), ("clean", 0)}
PICTURE = jpeg(700, 500)


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each field is; of a list, its first entry."""
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*at, key)
        yield from paths(entry, (*at, key))


def put(head: Any, path: tuple[Any, ...], value: Any) -> tuple[Any, Any]:
    """A copy of the head with another value there, and what was there."""
    changed = copy.deepcopy(head)
    place = changed
    for key in path[:-1]:
        place = place[key]
    before, place[path[-1]] = place[path[-1]], value
    return changed, before


def kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def still_right(path: tuple[Any, ...], before: Any, value: Any) -> bool:
    """Whether an honest answer could have this value, too."""
    if path in FREE or (value is None and path in NULLABLE):
        return True
    if kind(value) != kind(before):
        return False
    most = 1e9 if path[:1] == ("camera",) else 1e6
    small = kind(value) == "number" and abs(value) < most and (value >= 0 or path in SIGNED)
    whole = type(before) is int and type(value) is float and path[:1] != ("camera",)
    text = kind(value) == "str" and path[:1] == ("camera",)
    # {} is a camera that recorded nothing, [] are no faces, and a figure or a number of the camera may be any fraction.
    return (small and not whole) or text or type(value) is bool or (value in ({}, []) and path in EMPTY)


def refused(load: Callable[[bytes], object], raw: bytes) -> bool:
    try:
        load(raw)
    except Garbled:
        return True
    return False


def picture() -> tuple[Any, bytes, Callable[[bytes], object]]:
    head, body = split(READY + wire.dump(render(PICTURE)))
    head["camera"] = {"make": "a", "iso": 100, "flash": True}
    head["taken_at"] = "2026-01-01T00:00:00+00:00"
    return head, bytes(body), lambda raw: wire.load(raw, PICTURE)


def searched() -> tuple[Any, bytes, Callable[[bytes], object]]:
    return {"faces": [{"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5, "score": 3.5}]}, b"", load_faces


@pytest.mark.parametrize("honest", [picture, searched])
def test_a_field_of_another_type_is_refused_and_costs_nothing(
    honest: Callable[[], tuple[Any, bytes, Callable[[bytes], object]]],
) -> None:
    head, body, load = honest()
    load(READY + frame(head) + body)
    accepted, tried = [], 0
    tracemalloc.start()
    try:
        for path in paths(head):
            for value in HOSTILE:
                changed, before = put(head, path, value)
                if still_right(path, before, value):
                    continue
                tried += 1
                if not refused(load, READY + frame(changed) + body):
                    accepted.append((path, str(value)[:20]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert accepted == []
    assert tried > 50
    assert peak < 64 * MIB


@pytest.mark.parametrize("rows", ["a", [1], 10**18, 1.0, True, -1, None, {}])
@pytest.mark.parametrize("columns", [8 * 10**8, 10**14, 10**400, -1, True, 1])
def test_no_product_of_two_fields_is_computed_before_both_are_numbers(columns: Any, rows: Any) -> None:
    head, body, load = picture()
    head["metrics"]["tiles"] = {"columns": columns, "rows": rows, "sharpness": [1]}
    with pytest.raises(Garbled):
        load(READY + frame(head) + body)


@pytest.mark.parametrize("thumbhash", ["<script>" * 4, "a", "A" * 60, "AAAAAAAA\n", 'AAAAAA"AA'])
def test_a_thumbhash_is_short_base64(thumbhash: str) -> None:
    head, body, load = picture()
    head["thumbhash"] = thumbhash
    with pytest.raises(Garbled):
        load(READY + frame(head) + body)


def test_a_range_of_a_splice_list_has_no_bool() -> None:
    head, body, load = picture()
    head["clean"] = [[False, True]]
    with pytest.raises(Garbled):
        load(READY + frame(head) + body)


@pytest.mark.parametrize("raw", [frame({"faces": []}) + b"x", frame({"reason": "no"}) + b"x"])
def test_nothing_may_follow_an_answer_without_a_body(raw: bytes) -> None:
    for load in (load_faces, lambda raw: wire.load(raw, PICTURE)):
        with pytest.raises(Garbled):
            load(READY + raw)


def test_more_faces_than_the_child_gives_are_refused() -> None:
    head, _, load = searched()
    with pytest.raises(Garbled):
        load(READY + frame({"faces": head["faces"] * (faces.MOST + 1)}))


def test_the_longest_splice_list_fits_into_the_head() -> None:
    whole = 10**9
    pieces: list[object] = [[whole - 2 * n - 1, whole - 2 * n] for n in range(1999)]
    head, body, _ = picture()
    head["clean"] = [*pieces, "A" * (64 * 1024 * 4 // 3)]
    head["camera"] = dict.fromkeys(
        ("make", "model", "lens", "exposure", "utc_offset", "local_time"), "\U0001f600," * 300
    )
    raw = frame(head)
    assert struct.unpack(">I", raw[:4])[0] < 0.8 * MAX_HEAD
    assert split(READY + raw + body)[0] == head
