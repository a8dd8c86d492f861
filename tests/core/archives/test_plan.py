"""The layout is right to the byte, and three independent readers agree."""

import hashlib
import io
import itertools
import os
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.archives.plan import Entry, Literal, Plan, Source, plan
from safelight.archives.receipt import RECEIPT, receipt
from safelight.splice import Piece, splice
from tests.core.archives import readers

GIB4 = 1 << 32

members = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00/"), min_size=1, max_size=40),
        st.binary(max_size=200),
        st.integers(315_532_800, 0x7FFFFFFF),
    ),
    max_size=12,
    unique_by=lambda member: member[0],
)


@given(members, st.data())
def test_any_part_is_the_slice_of_the_whole(wanted: list[tuple[str, bytes, int]], data: st.DataObject) -> None:
    whole = readers.naive_archive(wanted)
    entries = [readers.photo(*member) for member in wanted]
    layout = plan(entries)
    contents = {entry.key: member[1] for entry, member in zip(entries, wanted, strict=True)}
    assert layout.size == len(whole)
    assert readers.assembled(layout, contents) == whole
    for _ in range(5):
        start = data.draw(st.integers(0, len(whole)))
        stop = data.draw(st.integers(start, len(whole)))
        assert readers.assembled(layout, contents, start, stop) == whole[start:stop]


@given(members)
def test_literal_members_make_the_same_bytes_as_objects(wanted: list[tuple[str, bytes, int]]) -> None:
    entries = [readers.photo(*member)._replace(data=member[1]) for member in wanted]
    assert readers.assembled(plan(entries), {}) == readers.naive_archive(wanted)


@given(members, st.data())
def test_members_cut_out_of_their_objects_make_the_same_bytes(
    wanted: list[tuple[str, bytes, int]], data: st.DataObject
) -> None:
    """Objects with something before, in the middle and behind that the member leaves out."""
    entries, contents = [], {}
    for name, content, mtime in wanted:
        middle = len(content) // 2
        literal = content[:1]
        contents[f"originals/{name}"] = (
            b"before" + content[len(literal) : middle] + b"between" + content[middle:] + b"!"
        )
        at = 6 + max(middle - len(literal), 0)
        pieces: list[Piece] = [literal, (6, at), (at + 7, at + 7 + len(content[max(middle, len(literal)) :]))]
        if middle < len(literal):
            contents[f"originals/{name}"] = b"before" + b"between" + content[len(literal) :] + b"!"
            pieces = [literal, (13, 13 + len(content) - len(literal))]
        cut = splice(len(contents[f"originals/{name}"]), pieces)
        entries.append(readers.photo(name, content, mtime)._replace(splice=cut))
    layout, whole = plan(entries), readers.naive_archive(wanted)
    assert readers.assembled(layout, contents) == whole
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    assert readers.assembled(layout, contents, start, stop) == whole[start:stop]


def test_a_member_cut_out_of_its_object_asks_for_the_object_as_it_is() -> None:
    entry = Entry("a.jpg", 200_030, 0, 0, "k", '"e"', splice=splice(500_000, [b"0123456789", 200_000, (300, 320)]))
    head, *pieces = plan([entry]).read()
    assert isinstance(head, Literal)
    assert pieces[0] == Literal(b"0123456789")
    zeros = [piece.data for piece in pieces[1:5] if isinstance(piece, Literal)]
    assert b"".join(zeros) == bytes(200_000)
    assert max(map(len, zeros)) <= 65_536
    assert pieces[5] == Source(entry._replace(size=500_000, splice=None), 300, 320)


def test_a_part_touches_only_the_objects_it_needs() -> None:
    entries = [Entry(f"{number}.jpg", 1000, 0, 0, str(number)) for number in range(10)]
    layout = plan(entries)
    first = next(piece for piece in layout.read() if isinstance(piece, Source))
    assert first == Source(entries[0], 0, 1000)
    header = next(layout.read())
    assert isinstance(header, Literal)
    pieces = list(layout.read(len(header.data) + 990, len(header.data) + 1000 + len(header.data) + 7))
    assert pieces[0] == Source(entries[0], 990, 1000)
    assert pieces[-1] == Source(entries[1], 0, 7)
    assert [piece for piece in layout.read(layout.size - 200) if isinstance(piece, Source)] == []
    assert list(layout.read(500, 500)) == []


def test_a_part_outside_the_archive_is_a_mistake() -> None:
    layout = plan([])
    assert layout.size == 22
    for start, stop in ((-1, 3), (3, 2), (0, 23)):
        with pytest.raises(ValueError, match="not within"):
            list(layout.read(start, stop))


@pytest.mark.parametrize("count", [65_534, 65_535, 65_536, 70_000])
def test_readers_accept_any_count(count: int, tmp_path: Path) -> None:
    entries = [readers.photo(f"{number}.jpg", b"%d" % number) for number in range(count)]
    layout = plan(entries)
    path = tmp_path / "a.zip"
    readers.write_sparse(layout, path, {entry.key: entry.name[:-4].encode() for entry in entries})
    assert path.stat().st_size == layout.size
    assert readers.python_accepts(path, ["0.jpg", f"{count - 1}.jpg"]) == [entry.name for entry in entries]
    readers.unzip_accepts(path)
    assert f"Files: {count}" in readers.seven_zip_accepts(path)
    needs_zip64 = b"PK\6\6" in readers.assembled(layout, {}, layout.size - 98)
    assert needs_zip64 == (count >= 65_535)


LAST = b"the last photo"


def _with_last_at(offset: int) -> Plan:
    """An archive whose last member's header starts at `offset`: three sparse objects before it."""
    sizes = [2_000_000_000, 2_000_000_000]
    before = [Entry(f"{number}.raw", size, 0, 1_750_000_000, str(number)) for number, size in enumerate(sizes)]
    filler = Entry("2.raw", 0, 0, 1_750_000_000, "2")
    used = plan([*before, filler, readers.photo("last.jpg", LAST)])._offsets[-1]
    return plan([*before, filler._replace(size=offset - used), readers.photo("last.jpg", LAST)])


@pytest.mark.parametrize("offset", [GIB4 - 2, GIB4 - 1, GIB4, GIB4 + 1, GIB4 - 60])
def test_readers_find_a_member_around_4_gib(offset: int, tmp_path: Path) -> None:
    """The last case puts the central directory, and not the member, around the edge."""
    layout = _with_last_at(offset)
    path = tmp_path / "a.zip"
    readers.write_sparse(layout, path, {"originals/last.jpg": LAST})
    assert path.stat().st_size == layout.size > GIB4
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("last.jpg").header_offset == offset
        assert archive.read("last.jpg") == LAST
    readers.unzip_accepts(path, "last.jpg")
    readers.seven_zip_accepts(path, "last.jpg")


@pytest.mark.parametrize("size", [GIB4 - 2, GIB4, 5 * (1 << 30)])
def test_readers_know_a_member_around_4_gib(size: int, tmp_path: Path) -> None:
    layout = plan([Entry("large.raw", size, 0, 1_750_000_000, "large"), readers.photo("last.jpg", LAST)])
    path = tmp_path / "a.zip"
    readers.write_sparse(layout, path, {"originals/last.jpg": LAST})
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("large.raw").file_size == size
        assert archive.read("last.jpg") == LAST
    readers.unzip_accepts(path, "last.jpg")
    readers.seven_zip_accepts(path, "last.jpg")
    listing = subprocess.run(
        [readers.installed("7z"), "l", "-ba", str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert f" {size} " in listing


def test_the_etag_changes_with_everything_that_decides_the_bytes() -> None:
    entry = Entry("a.jpg", 3, 7, 1_750_000_000, "k", '"e"')
    variants = [
        [entry],
        [entry._replace(name="b.jpg")],
        [entry._replace(size=4)],
        [entry._replace(crc32=8)],
        [entry._replace(mtime=1_750_000_001)],
        [entry._replace(key="l")],
        [entry._replace(etag='"f"')],
        [entry._replace(key="", data=b"abc")],
        [entry._replace(key="", data=b"abd")],
        [entry._replace(key='k"e"', etag="")],
        [entry._replace(splice=splice(9, [(0, 3)]))],
        [entry._replace(splice=splice(10, [(0, 3)]))],
        [entry._replace(splice=splice(9, [(1, 4)]))],
        [entry._replace(splice=splice(9, [b"abc"]))],
        [entry._replace(splice=splice(9, [3]))],
        [entry, entry._replace(name="b.jpg")],
        [entry._replace(name="b.jpg"), entry],
        [],
    ]
    etags = [plan(variant).etag for variant in variants]
    assert len(set(etags)) == len(etags)
    assert plan([entry]).etag == etags[0]
    assert all(etag.startswith('"') and etag.endswith('"') and etag.isascii() for etag in etags)


def test_no_data_descriptors_no_compression_utf8_everywhere() -> None:
    layout = plan([readers.photo("Привет 🎞.jpg", b"x")])
    with zipfile.ZipFile(io.BytesIO(readers.assembled(layout, {"originals/Привет 🎞.jpg": b"x"}))) as archive:
        (info,) = archive.infolist()
    assert info.filename == "Привет 🎞.jpg"
    assert info.flag_bits == 0x800
    assert info.compress_type == zipfile.ZIP_STORED
    assert info.extract_version == 20


@pytest.mark.parametrize("mtime", [-(1 << 40), -1, 0, 315_532_799, 0x7FFFFFFF, 0x80000000, 1 << 36])
def test_times_that_zip_cannot_tell_are_brought_into_range(mtime: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(readers.assembled(plan([readers.photo("a.jpg", b"x", mtime)]), {"originals/a.jpg": b"x"}))
    with zipfile.ZipFile(path) as archive:
        assert 1980 <= archive.infolist()[0].date_time[0] <= 2107
    readers.unzip_accepts(path)


def test_extracted_times_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(readers.assembled(plan([readers.photo("a.jpg", b"x", 1_700_000_001)]), {"originals/a.jpg": b"x"}))
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    subprocess.run([readers.installed("unzip"), "-q", path, "-d", tmp_path], check=True, env=environment)
    assert (tmp_path / "a.jpg").stat().st_mtime == 1_700_000_001


@pytest.mark.parametrize(
    "entry",
    [
        Entry("", 1, 0, 0, "k"),
        Entry("a" * 65_536, 1, 0, 0, "k"),
        Entry("a", -1, 0, 0, "k"),
        Entry("a", 1, 1 << 32, 0, "k"),
        Entry("a", 1, -1, 0, "k"),
        Entry("a", 1, 0, 0, data=b"xy"),
        Entry("a", 1, 0, 0, "k", splice=splice(9, [(0, 2)])),
    ],
)
def test_an_impossible_entry_is_refused(entry: Entry) -> None:
    with pytest.raises(ValueError, match=r"name|size|bytes"):
        plan([entry])


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        plan([readers.photo("a.jpg", b""), readers.photo("a.jpg", b"")])


def test_the_receipt_is_what_sha256sum_reads(tmp_path: Path) -> None:
    contents = {name: os.urandom(100) for name in ("a.jpg", "снег (2).jpg", "_-x.jpg")}
    photos = [
        readers.photo(name, data, 1_700_000_000 + number)._replace(sha256=hashlib.sha256(data).hexdigest())
        for number, (name, data) in enumerate(contents.items())
    ]
    layout = plan([*photos, receipt(photos)])
    path = tmp_path / "a.zip"
    path.write_bytes(readers.assembled(layout, {f"originals/{name}": data for name, data in contents.items()}))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[-1] == RECEIPT
        archive.extractall(tmp_path)
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", RECEIPT], cwd=tmp_path, check=True)
    assert receipt(photos).mtime == 1_700_000_002


def test_a_receipt_has_no_gaps() -> None:
    with pytest.raises(ValueError, match="no SHA-256"):
        receipt([readers.photo("a.jpg", b"x")])


def test_planning_70_000_entries_is_quick() -> None:
    entries = [Entry(f"{number}.jpg", 8_000_000, 5, 1_750_000_000, f"originals/{number}") for number in range(70_000)]
    began = time.process_time()
    layout = plan(entries)
    assert layout.etag
    last = list(itertools.islice(layout.read(layout.size // 2, layout.size // 2 + 10_000_000), 3))
    assert any(isinstance(piece, Source) for piece in last)
    assert time.process_time() - began < 2
