"""One archive in a thousand pieces, over bad lines, by other people's programs, and after a photo has changed."""

from __future__ import annotations

import math
import os
import random
import subprocess
import uuid
import zipfile
from collections import Counter
from itertools import accumulate
from pathlib import Path

import httpx2 as httpx
import pytest

from safelight import storage
from safelight.archives import records
from safelight.archives.plan import Plan
from safelight.archives.service import plan_gallery
from safelight.db import driver
from tests.api import Photographer, client, jpeg, run_jobs, running
from tests.core.archives import readers
from tests.functions.cutting import BadLine
from tests.functions.support import sql
from tests.functions.test_downloads import eventually

pytestmark = pytest.mark.usefixtures("shared_api")

# `make fuzz` takes its time.
RANGES = 1000 if os.environ.get("FUZZ") else 300


class Album:
    """A shared gallery in the real store, and the bytes that its archive must have."""

    def __init__(self, *sizes: int) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery(title="Anna & Ben")["id"]
        self.photos = [
            self.anna.upload(self.gallery, jpeg() + os.urandom(size), filename=f"снег {number}.jpg")
            for number, size in enumerate(sizes)
        ]
        run_jobs()
        self.renew()

    def link(self, **policy: object) -> str:
        """Path of the archive under a new link."""
        self.share = str(self.anna.share(self.gallery, **policy)["share_id"])
        return f"/s/{self.share}/download/all"

    def renew(self) -> None:
        """Plan the archive anew: the photos are others now."""
        with driver.connection() as connection:
            self.plan: Plan = plan_gallery(connection, uuid.UUID(self.gallery), "original")
        contents = {entry.key: storage.storage().read(entry.key)[0] for entry in self.plan.entries if entry.key}
        self.whole = readers.assembled(self.plan, contents)

    def original(self, photo: str) -> bytes:
        """A photo's file."""
        [(key,)] = sql("SELECT s3_key FROM photos WHERE id = cast(:photo AS uuid)", photo=photo)
        return storage.storage().read(key)[0]

    def counted(self, what: str = "zip_downloads") -> int:
        """How many downloads of the latest link were counted."""
        return int(self.anna.call("GET", f"/share-links/{self.share}").json()[what])


@pytest.fixture(scope="module")
def album(shared_api: str) -> Album:
    """Three photos of 3 MB, for programs that fetch several parts of a megabyte at once."""
    assert shared_api
    return Album(3_000_000, 3_000_000, 3_000_000)


class Ranges:
    """Ranges of an archive: the header, and from where to where; nothing for what lies beyond the end.

    `borders` are where something begins: a header, a photo, the directory, the end record.
    """

    def __init__(self, plan: Plan, chance: random.Random) -> None:
        heads = [records.local_size(entry.name.encode(), entry.size, entry.mtime) for entry in plan.entries]
        sizes = (head + entry.size for head, entry in zip(heads, plan.entries, strict=True))
        starts = list(accumulate(sizes, initial=0))
        bodies = [start + head for start, head in zip(starts, heads, strict=False)]
        self.size, self.directory, self.chance = plan.size, starts[-1], chance
        self.borders = sorted([*starts, *bodies, plan.size - 22])

    def anywhere(self) -> tuple[str, int, int]:
        start = self.chance.randrange(self.size)
        return self._closed(start, self.chance.randrange(start, min(start + 400_000, self.size)) + 1)

    def one_byte(self) -> tuple[str, int, int]:
        at = self.chance.choice([self.chance.randrange(self.size), self.chance.choice(self.borders), self.size - 1])
        return self._closed(at, at + 1)

    def across_a_border(self) -> tuple[str, int, int]:
        border = self.chance.choice(self.borders)
        return self._closed(border - self.chance.randrange(200), border + self.chance.randrange(1, 200))

    def across_all_between_borders(self) -> tuple[str, int, int]:
        first = self.chance.randrange(len(self.borders) - 1)
        return self._closed(self.borders[first] - self.chance.randrange(99), self.borders[first + 1] + 99)

    def to_the_end(self) -> tuple[str, int, int]:
        start = self.chance.randrange(self.size - 300_000, self.size)
        return f"bytes={start}-", start, self.size

    def suffix(self) -> tuple[str, int, int]:
        count = self.chance.choice([1, 22, self.chance.randrange(1, 300_000), self.size - self.directory])
        return f"bytes=-{count}", self.size - count, self.size

    def suffix_of_more_than_all(self) -> tuple[str, int, int]:
        return f"bytes=-{self.size + self.chance.randrange(10**12)}", 0, self.size

    def in_the_directory(self) -> tuple[str, int, int]:
        start = self.chance.randrange(self.directory, self.size)
        return self._closed(start, self.chance.randrange(start, self.size) + 1)

    def into_the_directory(self) -> tuple[str, int, int]:
        start = self.directory - self.chance.randrange(1, 5000)
        return self._closed(start, self.chance.randrange(self.directory, self.size) + 1)

    def past_the_end(self) -> tuple[str, int, int]:
        start = self.size - self.chance.randrange(1, 100_000)
        return f"bytes={start}-{self.size + self.chance.randrange(10**12)}", start, self.size

    def beyond(self) -> tuple[str, int, int]:
        start = self.size + self.chance.choice([0, 1, self.chance.randrange(10**15)])
        return self.chance.choice([f"bytes={start}-", f"bytes={start}-{start + 5}", "bytes=-0"]), 0, 0

    def _closed(self, start: int, stop: int) -> tuple[str, int, int]:
        start, stop = max(start, 0), min(stop, self.size)
        return f"bytes={start}-{stop - 1}", start, stop


KINDS = [kind for name, kind in vars(Ranges).items() if not name.startswith("_")]


def test_hundreds_of_ranges_are_what_the_plan_says(shared_api: str) -> None:
    assert shared_api
    album = Album(1, 70_000, 300_000, 5, 40_000, 150_000, 30, 20_000)
    size, whole, path = album.plan.size, album.whole, album.link()
    chance = random.Random(1000)
    ranges = Ranges(album.plan, chance)
    assert whole[ranges.directory :].startswith(b"PK\1\2")
    seen: Counter[int] = Counter()
    counted, asked = 0, math.inf
    with client() as browser:
        kept = set()
        for number in range(RANGES):
            header, start, stop = KINDS[number % len(KINDS)](ranges)
            headers = {"Range": header} | ({"If-Range": album.plan.etag} if chance.random() < 0.5 else {})
            with browser.stream("GET", path, headers=headers) as answer:
                content = answer.read()
                kept.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
            seen[answer.status_code] += 1
            if start == stop:
                assert (answer.status_code, content) == (416, b""), header
                assert answer.headers["content-range"] == f"bytes */{size}"
                continue
            if (start, stop) not in ((0, 1), (0, 2)):
                # Whoever asks for more than ten copies has begun another download.
                beyond = asked + stop - start > 10 * size
                counted, asked = (counted + 1, stop - start) if beyond else (counted, asked + stop - start)
            assert answer.status_code == 206, header
            assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}", header
            assert answer.headers["etag"] == album.plan.etag
            assert answer.headers["content-length"] == str(stop - start)
            assert content == whole[start:stop], header
    assert seen.keys() == {206, 416}
    assert seen.total() == RANGES
    assert len(kept) == 1, "one connection was kept for all"
    assert album.counted() == counted


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=0-1,5-9", "bytes=a-b", "lines=1-2", "bytes=-"])
def test_what_cannot_be_had_as_one_piece_is_the_whole(album: Album, header: str) -> None:
    answer = album.anna.call("GET", f"/galleries/{album.gallery}/download", headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, album.whole)


TOOLS = {
    "curl": ["curl", "-q", "--silent", "--show-error", "--fail", "-C", "-", "-o", "{}/all.zip"],
    "wget": ["wget", "--no-config", "--quiet", "-c", "--tries=1", "-O", "{}/all.zip"],
    "wget by itself": ["wget", "--no-config", "--quiet", "-c", "--tries=20", "--waitretry=0.01", "-O", "{}/all.zip"],
    "aria2c": ["aria2c", "--no-conf", "--quiet", "-x4", "-s4", "-k1M", "-m20", "--retry-wait=0", "-d{}", "-oall.zip"],
}
CUTS = 6


@pytest.mark.parametrize("name", TOOLS)
def test_a_download_over_a_bad_line_ends_whole_and_is_one(album: Album, name: str, tmp_path: Path) -> None:
    program, *arguments = TOOLS[name]
    command = [readers.installed(program), *(argument.replace("{}", str(tmp_path)) for argument in arguments)]
    path = album.link(max_downloads=1)
    # Each within what is left, and behind the answer's head, whatever came before.
    chance = random.Random(name)
    cuts = [chance.randrange(5_000, len(album.whole) // (2 * CUTS)) for _ in range(CUTS)]
    with BadLine(int(running[0].url.rpartition(":")[2]), cuts).running() as line:
        url = f"http://127.0.0.1:{line.port}{path}"
        runs = 1
        while subprocess.run([*command, url], check=False, timeout=60, capture_output=True).returncode:
            runs += 1
            assert runs <= CUTS + 1
        assert line.broken == CUTS
    assert runs == (CUTS + 1 if name in ("curl", "wget") else 1)
    assert (tmp_path / "all.zip").read_bytes() == album.whole
    assert album.counted() == 1


LISTS = {
    "wget": ["wget", "--no-config", "--quiet", "-c", "-x", "-nH", "--cut-dirs=3", "--tries=1", "-P{}", "-i{}/list"],
    "aria2c": ["aria2c", "--no-conf", "--quiet", "-c", "-j1", "-s1", "--file-allocation=none", "-d{}", "-i{}/list"],
}
SLOW = {"wget": "--limit-rate=4m", "aria2c": "--max-overall-download-limit=4M"}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_photos_is_carried_on_by_a_program_that_was_killed(album: Album, name: str, tmp_path: Path) -> None:
    """Its cookie is lost with it. It began the first photo without, and the others with a cookie."""
    program, *arguments = LISTS[name]
    command = [readers.installed(program), *(argument.replace("{}", str(tmp_path)) for argument in arguments)]
    album.link(max_downloads=len(album.photos))
    files = [tmp_path / photo / "file" for photo in album.photos]
    lines = [f"{running[0].url}/s/{album.share}/photos/{photo}/file" for photo in album.photos]
    if name == "aria2c":
        lines = [f"{line}\n out={photo}/file" for line, photo in zip(lines, album.photos, strict=True)]
    (tmp_path / "list").write_text("\n".join(lines))
    for file in files[1:]:
        with subprocess.Popen([*command, SLOW[name]]) as killed:
            eventually(lambda file=file: file.exists() and file.stat().st_size > 0)  # type: ignore[misc]  # mypy sees no type of a default
            assert killed.poll() is None
            killed.kill()
        assert 0 < file.stat().st_size < 3_000_000
    subprocess.run(command, check=True, timeout=60)
    for photo, file in zip(album.photos, files, strict=True):
        assert file.read_bytes() == album.original(photo)
    assert album.counted("single_downloads") == len(album.photos)


def part(path: str, header: str, etag: str) -> httpx.Response:
    """One range, if the archive is still the one with this ETag."""
    return client().get(path, headers={"Range": header, "If-Range": etag})


@pytest.mark.parametrize("change", ["deleted", "replaced", "renamed"])
def test_an_archive_that_changed_starts_over_whole(shared_api: str, tmp_path: Path, change: str) -> None:
    """Bytes of two archives in one file would be neither."""
    assert shared_api
    album = Album(50_000, 60_000, 70_000)
    path = album.link()
    before, etag, half = album.whole, album.plan.etag, len(album.whole) // 2
    assert part(path, f"bytes={half}-", etag).content == before[half:]
    if change == "renamed":
        changed = album.anna.call("PATCH", f"/photos/{album.photos[0]}", json={"filename": "another name.jpg"})
    else:
        changed = album.anna.call("DELETE", f"/photos/{album.photos[0]}")
    assert changed.status_code < 300, changed.text
    if change == "replaced":
        album.anna.upload(album.gallery, jpeg() + os.urandom(50_000), filename="снег 0.jpg")
        run_jobs()
    album.renew()
    assert album.whole != before
    answer = part(path, f"bytes={half}-", etag)
    assert (answer.status_code, answer.headers["etag"]) == (200, album.plan.etag)
    assert answer.content == album.whole
    assert "content-range" not in answer.headers
    again = part(path, f"bytes={half}-", album.plan.etag)
    assert (again.status_code, again.content) == (206, album.whole[half:])
    # A program that does not ask whether it is still the same gets a file that nobody takes for an archive.
    mixed = tmp_path / "all.zip"
    mixed.write_bytes(before[:half])
    resume = [readers.installed("curl"), "-q", "--silent", "--show-error", "--fail", "-C", "-", "-o", str(mixed)]
    subprocess.run([*resume, running[0].url + path], check=True, timeout=60)
    assert mixed.read_bytes() == before[:half] + album.whole[half:]
    assert not sound(mixed)


def sound(path: Path) -> bool:
    """Whether Python reads all of this archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False
