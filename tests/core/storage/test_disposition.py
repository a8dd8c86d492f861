"""Content-Disposition: every file name arrives, none breaks out."""

import re
import unicodedata
from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.storage.disposition import attachment

# RFC 6266 §4.1 in the two shapes that we emit: quoted-string without escapes, ext-value of RFC 8187.
SHAPE = re.compile(
    r'attachment; filename="(?P<plain>[ !#$&-\[\]-~%]+)"'
    r"(?:; filename\*=UTF-8''(?P<exact>(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+))?"
)


def parsed(value: str) -> tuple[str, str]:
    """The plain and the exact name."""
    match = SHAPE.fullmatch(value)
    assert match, value
    exact = match["exact"]
    return match["plain"], match["plain"] if exact is None else unquote(exact, errors="strict")


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("IMG_0001.jpg", 'attachment; filename="IMG_0001.jpg"'),
        ("a b (1).jpg", 'attachment; filename="a b (1).jpg"'),
        ("Café.jpg", "attachment; filename=\"Cafe.jpg\"; filename*=UTF-8''Caf%C3%A9.jpg"),
        ("Cafe\u0301.jpg", "attachment; filename=\"Cafe.jpg\"; filename*=UTF-8''Caf%C3%A9.jpg"),
        ("写真.jpg", "attachment; filename=\"__.jpg\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.jpg"),
        ('say "cheese".jpg', "attachment; filename=\"say _cheese_.jpg\"; filename*=UTF-8''say%20%22cheese%22.jpg"),
        ("100%.jpg", "attachment; filename=\"100_.jpg\"; filename*=UTF-8''100%25.jpg"),
        ("a;b=c'd.jpg", 'attachment; filename="a;b=c\'d.jpg"'),
    ],
)
def test_names(filename: str, value: str) -> None:
    assert attachment(filename) == value


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("/absolute.jpg", "absolute.jpg"),
        ("dir/", "download"),
        ("", "download"),
        ("..", "download"),
        (" . ", "download"),
        (".hidden", "hidden"),
        ("trailing. ", "trailing"),
        ("x\r\nSet-Cookie: a=b.jpg", "xSet-Cookie: a=b.jpg"),
        ("nul\x00\x1b[31m.jpg", "nul[31m.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("lone\ud800surrogate.jpg", "lonesurrogate.jpg"),
        ("line\u2028break.jpg", "linebreak.jpg"),
        ("\ufeffbom\u2066.jpg", "bom.jpg"),
        ("🏳️\u200d🌈 क्\u200dष.jpg", "🏳️\u200d🌈 क्\u200dष.jpg"),
    ],
)
def test_what_is_left_out(filename: str, name: str) -> None:
    assert parsed(attachment(filename))[1] == name


@pytest.mark.parametrize("letter", ["x", "é", "写", "📷"])
def test_a_long_name_keeps_its_ending(letter: str) -> None:
    name = parsed(attachment(letter * 1000 + ".jpeg"))[1]
    assert name.endswith(f"{letter}.jpeg")
    assert len(name) == 180
    assert len(parsed(attachment("a." + "b" * 1000))[1]) == 180


@given(st.text())
def test_any_text_makes_one_safe_header(filename: str) -> None:
    value = attachment(filename)
    plain, exact = parsed(value)
    assert value.isascii()
    assert value.isprintable()
    assert plain
    assert exact
    assert exact == unicodedata.normalize("NFC", exact)
    assert not set(exact) & set("/\\\r\n\x00")
    assert len(exact) <= 180
    header = Message()
    header["Content-Disposition"] = value
    assert header.get_content_disposition() == "attachment"
    assert header.get_filename() is not None


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\."), min_size=1, max_size=40))
def test_an_ordinary_name_arrives_unchanged(stem: str) -> None:
    name = unicodedata.normalize("NFC", f"{stem}.jpg")
    assert parsed(attachment(name))[1] == name
