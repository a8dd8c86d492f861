"""Lists for other programs: what they hold, and that nothing in them runs."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.shares import exports

TRIGGERS = "=+-@\uff1d\uff0b\uff0d\uff20"


def test_lightroom_gets_each_name_once_without_its_extension() -> None:
    names = [
        "IMG_1.jpg",
        "IMG_2.JPEG",
        "first dance.png",
        "IMG_1.tiff",
        "v1.2",
        ".hidden",
        "plain",
        "a.b.heic",
        "x.12345",
    ]
    assert exports.lightroom(names) == "IMG_1,IMG_2,first dance,v1.2,.hidden,plain,a.b,x.12345"
    assert exports.lightroom([]) == ""


def test_a_name_cannot_end_the_line_or_add_a_term() -> None:
    assert exports.lightroom(["a\r\nb.jpg", "c,d.jpg", "\t.jpg", " ,\x85, .png"]) == "a b,c d"


def test_the_table_is_rfc_4180_with_a_byte_order_mark() -> None:
    text = exports.table(["name", "note"], [["Бен, 花", 'so "nice"\nindeed'], [None, 7]])
    assert text == '\ufeff"name","note"\r\n"Бен, 花","so ""nice""\nindeed"\r\n"","7"\r\n'


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+49 170", "'+49 170"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\rx", "'\rx"),
        ("  =1", "  '=1"),
        ("\uff1dcmd|' /C calc'!A0", "'\uff1dcmd|' /C calc'!A0"),
        ("\uff0b1", "'\uff0b1"),
        ("\u200b=1", "\u200b'=1"),
        ("bright; =HYPERLINK(1)", "bright; '=HYPERLINK(1)"),
        ('x",=1', "x\",'=1"),
        ("line\n-2", "line\n'-2"),
        ("IMG-1_b+w@home=.jpg", "IMG-1_b+w@home=.jpg"),
        ("ben@example.com", "ben@example.com"),
        ("", ""),
    ],
)
def test_a_formula_gets_an_apostrophe(given_text: str, expected: str) -> None:
    assert exports.inert(given_text) == expected


@pytest.mark.parametrize("run", ["\n", "\r\n", " \n", "\u200b", '"', ",", ", ", "\t"])
def test_a_text_is_read_once_however_it_is_divided(run: str) -> None:
    """Read anew from every separator, each of these would take hours."""
    text = f"x{run * 1_000_000}"
    assert exports.inert(f"{text}x") == f"{text}x"
    assert exports.inert(f"{text},=1") == f"{text},'=1"


@given(st.text(st.sampled_from([*TRIGGERS, *" \t\r\n,;|\"'aé花\u200b\ufeff"]), max_size=12))
def test_no_cell_begins_like_a_formula_wherever_a_program_divides(value: str) -> None:
    written = exports.table(["x"], [[value]])
    [_, [cell]] = csv.reader(io.StringIO(written.removeprefix("\ufeff"), newline=""))
    assert cell.replace("'", "") == value.replace("'", "")  # nothing else was changed
    assert not cell.startswith(("\t", "\r", "\n"))
    for separator in ",;|\t\n\r":
        for piece in written.removeprefix('\ufeff"x"').split(separator):
            assert not piece.strip(' \t\r\n"\u200b\ufeff').startswith(tuple(TRIGGERS)), written
