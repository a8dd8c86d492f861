"""Names that any system extracts, whatever people called their photos."""

import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safelight.archives.names import MAX_BYTES, safe_name, safe_names
from safelight.archives.plan import plan
from tests.core.archives import readers

DEVICES = ["con", "prn", "aux", "nul", "conin$", "conout$"]
DEVICES += [f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³"]
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

nasty = st.text(
    st.sampled_from(
        './\\ -_:*?"<>|aA1éß\u0131\u017f\u212a\u0301\u0308\u030a\u200d\u200c\u202e\ufeff'
        "\x00\x1f\x7f\u00a0\u2028\uff0f\ud800\u0378🎞👩"
    )
    | st.characters(),
    max_size=300,
)
some = (
    nasty
    | nasty.map(lambda text: text + ".jpg")
    | st.sampled_from([*DEVICES, "CON.jpg", "con .x.jpg", "a.jpg", "A.JPG"])
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("IMG_0001.JPG", "IMG_0001.JPG"),
        ("снег и лёд.jpg", "снег и лёд.jpg"),
        ("👩\u200d🚀 launch.png", "👩\u200d🚀 launch.png"),
        ("e\u0301te\u0301.jpg", "été.jpg"),
        ("../../etc/passwd", "_._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\photos\\a.jpg", "C__photos_a.jpg"),
        ("day 1/a.jpg", "day 1_a.jpg"),
        ("a\uff0fb.jpg", "a_b.jpg"),
        ("..", "photo"),
        ("", "photo"),
        (".jpg", "photo.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("-rf.jpg", "_rf.jpg"),
        ("a.jpg.", "a.jpg"),
        ("a.jpg   ", "a.jpg"),
        ("a .jpg", "a.jpg"),
        ("con", "_con"),
        ("Con.jpg", "_Con.jpg"),
        ("NUL.tar.gz", "_NUL.tar.gz"),
        ("LPT¹.jpg", "_LPT¹.jpg"),
        ("console.jpg", "console.jpg"),
        ("gpj.\u202eexe", "gpj.exe"),
        ("a\x00b\x1b[31m.jpg", "ab[31m.jpg"),
        ("a\tb\nc.jpg", "a b c.jpg"),
        ('<b>"a"|b?*.jpg', "_b__a__b__.jpg"),
        ("a\ud800.jpg", "a_.jpg"),
        ("a\ufeff\u0301.jpg", "á.jpg"),
    ],
)
def test_one_name(raw: str, expected: str) -> None:
    assert safe_name(raw) == expected


def test_a_long_name_is_cut_between_letters_and_keeps_its_extension() -> None:
    assert safe_name("x" * 300 + ".jpeg") == "x" * (MAX_BYTES - 5) + ".jpeg"
    cut = safe_name("é" * 300 + ".jpg")
    assert cut == "é" * 98 + ".jpg"
    stacked = safe_name("a" * 195 + "x\u0323\u0331.jpg")  # the marks do not fit, and x without them is another letter
    assert stacked == "a" * 195 + ".jpg"
    assert safe_name("con" + "x" + "\u0331" * 300 + ".jpg") == "_con.jpg"
    assert safe_name("x" + "\u0331" * 300 + ".jpg") == "photo.jpg"


def test_the_first_keeps_its_name_and_the_others_are_numbered() -> None:
    raw = ["a.jpg", "A.jpg", "a.jpg", "a (2).jpg", "e\u0301.png", "É.png", "straße.jpg", "STRASSE.jpg"]
    assert safe_names(raw) == [
        "a.jpg", "A (2).jpg", "a (3).jpg", "a (2) (2).jpg", "é.png", "É (2).png", "straße.jpg", "STRASSE (2).jpg",
    ]  # fmt: skip


def test_reserved_names_are_taken() -> None:
    assert safe_names(["sha256sums.TXT"], reserved=["SHA256SUMS.txt"]) == ["sha256sums (2).TXT"]


def test_seventy_thousand_of_one_name() -> None:
    names = safe_names(["x" * 196 + ".jpg"] * 70_000)
    assert len(set(names)) == 70_000
    assert names[-1].endswith(" (70000).jpg")
    assert max(len(name.encode()) for name in names) <= MAX_BYTES


@given(st.lists(some, max_size=20))
@example(["con" + "\u0331" * 150, "con" + "\u0331" * 150])
def test_names_are_safe_and_unique(raw: list[str]) -> None:
    names = safe_names(raw)
    assert len(names) == len(raw)
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names)
    assert len({unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()) for name in names}) == len(
        raw
    )
    for name in names:
        encoded = name.encode()  # raises for a surrogate
        assert 0 < len(encoded) <= MAX_BYTES
        assert unicodedata.is_normalized("NFC", name)
        assert not set(name) & set('<>:"/\\|?*\uff0f\uff3c\u2044\u2215' + BIDI)
        assert ".." not in name
        assert name[0] not in ".- "
        assert name[-1] not in ". "
        assert all(unicodedata.category(char) not in ("Cc", "Cs", "Cn", "Zl", "Zp") for char in name)
        assert name.partition(".")[0].rstrip(" ").casefold() not in DEVICES


@given(some)
def test_a_safe_name_stays_as_it_is(raw: str) -> None:
    name = safe_name(raw)
    assert safe_name(name) == name


@given(
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=400),
    st.sampled_from(["jpg", "JPEG", "heic", "png"]),
)
def test_the_extension_survives(stem: str, extension: str) -> None:
    assert safe_name(f"{stem}.{extension}").endswith(f".{extension}")


def test_hostile_names_are_extracted_by_three_tools(tmp_path: Path) -> None:
    raw = [
        "../../escape.jpg", "/abs.jpg", "C:\\x.jpg", "con", "NUL.jpg", "снег.jpg", "СНЕГ.jpg", "🎞️ film.jpg",
        "x" * 300 + ".jpg",
        "x" * 299 + "y.jpg", "e\u0301.jpg", "é.jpg", "-n.jpg", ".hidden", "a\nb.jpg", "\u202egpj.exe",
        "trailing. ", "*?.jpg", "%s%n.jpg",
    ]  # fmt: skip
    names = safe_names(raw)
    entries = [readers.photo(name, name.encode()) for name in names]
    path = tmp_path / "a.zip"
    path.write_bytes(readers.assembled(plan(entries), {entry.key: entry.name.encode() for entry in entries}))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "python")
    for tool, command in {"unzip": ["unzip", "-q", str(path), "-d"], "seven": ["7z", "x", "-bd", str(path)]}.items():
        target = tmp_path / tool
        target.mkdir()
        readers.run(*command, *([str(target)] if tool == "unzip" else [f"-o{target}"]))
    for tool in ("python", "unzip", "seven"):
        found = {file.name: file.read_bytes() for file in (tmp_path / tool).iterdir()}
        assert found == {name: name.encode() for name in names}, tool


def test_no_name_ends_like_a_version_of_vms() -> None:
    """unzip drops ";1" from the end of a name, so two photos would become one file."""
    assert safe_names(["IMG;1", "IMG;2", "a.jpg;3", "a.jpg"]) == ["IMG_1", "IMG_2", "a.jpg_3", "a.jpg"]
