"""Range and If-Range, case by case from RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.archives.ranges import Requested, parse_range

ETAG = '"abc"'
WHOLE = Requested(200, 0, 1000)
UNSATISFIABLE = Requested(416, 0, 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("bytes=0-", Requested(206, 0, 1000)),
        ("bytes=0-0", Requested(206, 0, 1)),
        ("bytes=10-19", Requested(206, 10, 20)),
        ("bytes=10-5000", Requested(206, 10, 1000)),
        ("bytes=999-", Requested(206, 999, 1000)),
        ("bytes=-1", Requested(206, 999, 1000)),
        ("bytes=-1000", Requested(206, 0, 1000)),
        ("bytes=-5000", Requested(206, 0, 1000)),
        ("Bytes=1-2", Requested(206, 1, 3)),
        ("bytes= 1-2", Requested(206, 1, 3)),
        ("bytes=1-2,", Requested(206, 1, 3)),
        ("bytes=, ,1-2", Requested(206, 1, 3)),
        ("bytes=000001-0002", Requested(206, 1, 3)),
        ("bytes=1000-", UNSATISFIABLE),
        ("bytes=1000-2000", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        (f"bytes={'9' * 5000}-", UNSATISFIABLE),
        (f"bytes=0-{'9' * 5000}", Requested(206, 0, 1000)),
        ("bytes=0-1,5-6", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=5-4", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=+1-2", WHOLE),
        ("bytes=1_0-20", WHOLE),
        ("bytes=\u0661-\u0662", WHOLE),
        ("bytes=1", WHOLE),
        ("bytes 1-2", WHOLE),
        ("items=1-2", WHOLE),
        ("", WHOLE),
    ],
)
def test_range(header: str | None, expected: Requested) -> None:
    assert parse_range(header, size=1000, etag=ETAG) == expected


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        (None, 206),
        ('"abc"', 206),
        (' "abc" ', 206),
        ('W/"abc"', 200),
        ('"abd"', 200),
        ("abc", 200),
        ("Fri, 20 Nov 2026 10:00:00 GMT", 200),
        ("", 200),
    ],
)
def test_if_range_wants_the_same_strong_tag(if_range: str | None, status: int) -> None:
    assert parse_range("bytes=1-2", if_range, size=1000, etag=ETAG).status == status


def test_if_range_that_fails_makes_an_unsatisfiable_range_whole() -> None:
    assert parse_range("bytes=5000-", '"old"', size=1000, etag=ETAG) == WHOLE


def test_only_get_has_ranges() -> None:
    assert parse_range("bytes=1-2", size=1000, etag=ETAG, method="HEAD") == WHOLE


@given(
    st.text() | st.from_regex(r"bytes=[0-9]{0,6}-[0-9]{0,6}(,[0-9]*-[0-9]*)?", fullmatch=True), st.integers(1, 10**6)
)
def test_whatever_is_asked_lies_within(header: str, size: int) -> None:
    answer = parse_range(header, size=size, etag=ETAG)
    if answer.status == 416:
        assert (answer.start, answer.stop) == (0, 0)
    else:
        assert 0 <= answer.start < answer.stop <= size
    if answer.status == 200:
        assert (answer.start, answer.stop) == (0, size)
