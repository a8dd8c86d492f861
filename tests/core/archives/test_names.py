"""Names that any system extracts, whatever people called their photos."""

import hashlib
import subprocess
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safelight.archives import names
from safelight.archives.names import MAX_BYTES, safe_name, safe_names
from safelight.archives.plan import plan
from safelight.archives.receipt import RECEIPT, receipt
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


def test_long_names_that_numbers_make_alike_are_not_tried_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that differ only where a number goes: each would otherwise try what all others have got."""
    tried = 0

    def counted(name: str, suffix: str) -> str:
        nonlocal tried
        tried += 1
        return shortened(name, suffix)

    shortened = names._shortened
    monkeypatch.setattr(names, "_shortened", counted)
    raw = [f"{'x' * 190}{number:06}.jpg" for number in range(2000) for _ in range(2)]
    safe = safe_names(raw)
    assert len(set(safe)) == len(raw)
    assert safe[:4] == [raw[0], f"{'x' * 190}00 (2).jpg", raw[2], f"{'x' * 190}00 (3).jpg"]
    assert tried < 4 * len(raw)


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


HOSTILE = [
    "снег и лёд.jpg", "СНЕГ И ЛЁД.JPG", "Снег и лёд.jpg", "日本の写真.jpg", "صورة.jpg", "🎞️ film.jpg",
    "👩\u200d🚀.jpg", "👩🚀.jpg", "..", ".", "../../escape.jpg", "..\\..\\escape.jpg", "a/../../escape.jpg",
    "..jpg", "....jpg", "a/b/c.jpg", "a\\b\\c.jpg", "/etc/passwd", "//server/share/x.jpg",
    "\\\\server\\share\\x.jpg", "C:\\x", "C:\\x.jpg", "c:x.jpg", "~/x.jpg", "~root.jpg", "CON", "con", "nul.jpg",
    "NUL.tar.gz", "aux .jpg", "COM1.jpg", "LPT¹.jpg", "PRN.", "a:b", "a:b.jpg", "a.jpg:stream", "trailing.",
    "trailing ", "trailing. . ", " leading.jpg", "trailing", "a.jpg.", "a.jpg ", "a.jpg", "A.JPG", "a.jpg",
    "a (2).jpg", "x" * 300 + ".jpg", "x" * 299 + "y.jpg", "X" * 300 + ".jpg", "x" * 300, "ж" * 300 + ".jpg",
    "ж" * 299 + "ц.jpg", "🎞" * 300 + ".jpg", "e\u0301te\u0301.jpg", "\u00e9t\u00e9.jpg", "\u00c9T\u00c9.jpg",
    "e\u0301" * 200 + ".jpg", "é" * 200 + ".jpg", "и\u0306.jpg", "й.jpg", "straße.jpg", "STRASSE.jpg",
    "\ufb01ne.jpg", "fine.jpg", "\u212b.jpg", "\u00e5.jpg", "A\u030a.jpg", "İ.jpg", "i.jpg", "\u0131.jpg", "I.jpg",
    "-rf.jpg", "--help", "-", ".hidden", ".jpg", "", " ", "a\nb.jpg", "a\rb.jpg", "a\x00b.jpg", "a\x1b[31mb.jpg",
    "\u202egpj.exe", "*?.jpg", "%s%n.jpg", "$HOME.jpg", "`id`.jpg", "a'b\".jpg", "<b>|x.jpg", "IMG;1", "IMG;2",
    "SHA256SUMS.txt", "sha256sums.TXT", "Thumbs.db", "desktop.ini", "a\ud800.jpg", "\ufeffbom.jpg",
    "\uff0fslash.jpg", "\u2215.jpg", "@list.jpg", "#U0441.jpg", "!.jpg",
]  # fmt: skip


def test_hostile_names_are_extracted_by_three_tools(tmp_path: Path) -> None:
    """The same files in all three, every byte right, nothing lost, nothing anywhere else."""
    names = safe_names(HOSTILE, reserved=[RECEIPT])
    contents = {name: f"{number} {name}".encode() for number, name in enumerate(names)}
    photos = [
        readers.photo(name, data)._replace(sha256=hashlib.sha256(data).hexdigest()) for name, data in contents.items()
    ]
    sums = receipt(photos)
    path = tmp_path / "a.zip"
    path.write_bytes(readers.assembled(plan([*photos, sums]), {photo.key: contents[photo.name] for photo in photos}))
    expected = {photo.name: photo.sha256 for photo in photos} | {RECEIPT: hashlib.sha256(sums.data or b"").hexdigest()}
    assert len(expected) == len(HOSTILE) + 1
    for tool, extract in EXTRACTORS.items():
        target = tmp_path / tool / "as" / "deep" / "as" / "here"
        target.mkdir(parents=True)
        extract(path, target)
        found = list((tmp_path / tool).rglob("*"))
        assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in target.iterdir()} == expected, tool
        assert len(found) == len(expected) + 4, "nothing but those and the folders on the way to them"
        done = subprocess.run(["sha256sum", "--strict", "--quiet", "-c", RECEIPT], cwd=target, check=False)
        assert done.returncode == 0, tool
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["a.zip", *EXTRACTORS])


def _python(path: Path, target: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(target)


def _unzip(path: Path, target: Path) -> None:
    readers.run("unzip", "-q", str(path), "-d", str(target))


def _seven_zip(path: Path, target: Path) -> None:
    readers.run("7z", "x", "-bd", str(path), f"-o{target}")


EXTRACTORS = {"zipfile": _python, "unzip": _unzip, "7z": _seven_zip}


def test_no_name_ends_like_a_version_of_vms() -> None:
    """unzip drops ";1" from the end of a name, so two photos would become one file."""
    assert safe_names(["IMG;1", "IMG;2", "a.jpg;3", "a.jpg"]) == ["IMG_1", "IMG_2", "a.jpg_3", "a.jpg"]
