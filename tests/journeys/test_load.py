"""Fifty photos from eight clients, and their ZIP in every way that clients fetch it."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from functions.process_photo.app import handler
from tests import api as front
from tests.api import Photographer, client, post_form, sqs_event
from tests.core.archives.readers import installed
from tests.journeys.worksite import sql

if TYPE_CHECKING:
    from safelight.config import Settings

PHOTOS, CLIENTS = 50, 8
CHECKERS = [
    ["unzip", "-tq"],
    ["7z", "t", "-bd"],
    [sys.executable, "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip())"],
]


def picture(number: int) -> bytes:
    """A JPEG like no other: some noise, so that its size differs too."""
    from PIL import Image

    noise = random.Random(number).randbytes(3 * 40 * 30)
    out = io.BytesIO()
    Image.frombytes("RGB", (40, 30), noise).resize((320 + number, 240)).save(out, "JPEG", quality=85)
    return out.getvalue()


@dataclass
class Loaded:
    """A shared gallery of fifty photos; `archive` is the address of all of them as one file."""

    url: str
    path: str
    photos: dict[str, bytes]
    statuses: list[str]

    @property
    def archive(self) -> str:
        return self.url + self.path


@pytest.fixture(scope="module")
def loaded(module_settings: Settings, api_server: front.Server) -> Iterator[Loaded]:
    """Uploaded by eight clients at a time and processed by two workers."""
    assert module_settings.s3_endpoint is not None
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photos = {f"{number:03}.jpg": picture(number) for number in range(PHOTOS)}
    clients = [Photographer(email=anna.email, tokens=anna.tokens) for _ in range(CLIENTS)]

    def upload(worker: int) -> None:
        for filename, data in list(photos.items())[worker::CLIENTS]:
            made = clients[worker].announce(gallery, data, filename=filename)
            assert post_form(made["upload"], data).status_code == 204
            assert clients[worker].call("POST", f"/photos/{made['photo']['id']}/complete").status_code == 200

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(upload, range(CLIENTS)))
    jobs = [f"jobs/process_photo/{job}" for (job,) in sql("SELECT id FROM jobs WHERE status = 'queued'")]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda key: handler(sqs_event(key), None), jobs))
    assert answers == [{"batchItemFailures": []}] * PHOTOS
    items = anna.call("GET", f"/galleries/{gallery}/photos?limit=100").json()["items"]
    share = anna.share(gallery)
    yield Loaded(api_server.url, f"/s/{share['share_id']}/download/all", photos, [photo["status"] for photo in items])
    while front.opened:
        front.opened.pop().close()
    api_server.forget()


@pytest.fixture(scope="module")
def whole(loaded: Loaded) -> bytes:
    """The archive, fetched at once."""
    answer = httpx.get(loaded.archive, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_every_upload_is_ready(loaded: Loaded) -> None:
    assert loaded.statuses == ["ready"] * PHOTOS


def test_the_archive_has_every_original(loaded: Loaded, whole: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist() if name != "SHA256SUMS.txt"} == loaded.photos


@pytest.mark.parametrize("tool", CHECKERS, ids=[Path(tool[0]).name for tool in CHECKERS])
def test_other_programs_find_it_clean(whole: bytes, tmp_path: Path, tool: list[str]) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(whole)
    done = run(*tool, path)
    assert "warning" not in done.lower(), done
    path.write_bytes(whole.replace(b"\xff\xd8\xff", b"\xff\xd8\x00", 1))
    with pytest.raises(AssertionError):
        run(*tool, path)


@pytest.mark.parametrize("seed", range(3))
def test_a_download_cut_anywhere_goes_on_with_curl(loaded: Loaded, whole: bytes, tmp_path: Path, seed: int) -> None:
    cut = random.Random(seed).randrange(1, len(whole))
    path = tmp_path / "photos.zip"
    # The client goes away in the middle of the body; what it has by then is on disk.
    with httpx.stream("GET", loaded.archive, timeout=60) as answer, path.open("wb") as file:
        for part in answer.iter_raw():
            file.write(part[: cut - file.tell()])
            if file.tell() == cut:
                break
    assert path.stat().st_size == cut
    run("curl", "--silent", "--show-error", "--fail", "-C", "-", "-o", path, loaded.archive)
    assert path.read_bytes() == whole


def test_curl_resumes_what_is_complete_already(loaded: Loaded, whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(whole)
    answer = httpx.get(loaded.archive, headers={"Range": f"bytes={len(whole)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    run("curl", "--silent", "--show-error", "-C", "-", "-o", path, loaded.archive)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("segments", [4, 16])
def test_segments_fetched_in_parallel_make_the_same_file(loaded: Loaded, whole: bytes, segments: int) -> None:
    bounds = [0, *sorted(random.Random(segments).sample(range(1, len(whole)), segments - 1)), len(whole)]
    etag = client().head(loaded.path).headers["etag"]

    def fetch(number: int) -> bytes:
        first, end = bounds[number], bounds[number + 1]
        headers = {"Range": f"bytes={first}-{end - 1}", "If-Range": etag}
        answer = httpx.get(loaded.archive, headers=headers, timeout=60)
        assert answer.status_code == 206, answer.text
        assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(whole)}"
        return answer.content

    with ThreadPoolExecutor(segments) as pool:
        assert b"".join(pool.map(fetch, range(segments))) == whole


def test_eight_visitors_at_once_get_the_same_file(loaded: Loaded, whole: bytes) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda _: httpx.get(loaded.archive, timeout=60).content, range(CLIENTS)))
    assert all(content == whole for content in answers)


def run(*command: str | Path) -> str:
    """Run a program that has to be there and to end well; what it printed."""
    program, *arguments = command
    done = subprocess.run(
        [installed(str(program)), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
