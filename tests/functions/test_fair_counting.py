"""One download is one, by parts, after a night and at the bucket; and nothing but a download leads to the bytes."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2 as httpx
import pytest

from safelight import clock, sweep
from safelight.db.engine import transaction
from safelight.jobs import queries
from tests import product
from tests.api import client, running
from tests.claims import build_part
from tests.functions.support import in_parallel, problem, sql
from tests.functions.test_downloads import Shared, eventually, leave_early, leave_early_often, visitor

pytestmark = pytest.mark.usefixtures("shared_api")

BEFORE_MIDNIGHT = dt.datetime(2031, 5, 4, 23, 50, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def shared(shared_api: str) -> Shared:
    assert shared_api
    return Shared()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Archives of more than a megabyte are built into the bucket."""
    running[0].forget()
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", "1000000")
    product.forget()
    yield
    running[0].forget()
    monkeypatch.delenv("ARCHIVE_STREAM_LIMIT")
    product.forget()


class Clock:
    """What time visitors come at."""

    def __init__(self) -> None:
        self.time = BEFORE_MIDNIGHT

    def later(self, **duration: float) -> None:
        self.time += dt.timedelta(**duration)


@pytest.fixture
def time() -> Iterator[Clock]:
    shown = Clock()
    apps = [importlib.import_module(f"functions.{name}.app").app for name in ("visits", "downloads")]
    for app in apps:
        app.dependency_overrides[clock.now] = lambda: shown.time
    yield shown
    for app in apps:
        del app.dependency_overrides[clock.now]


def build_everything() -> None:
    with transaction() as session:
        due = queries.due(session, 100)
    for job_id, _ in due:
        build_part(job_id)


def put_together(path: str) -> None:
    """The archive lies in the bucket."""
    if client().get(path).status_code == 202:
        build_everything()


def singles(shared: Shared, share: str) -> int:
    return shared.counters(share)[1]


# ---------------------------------------------------------------- nothing but a download leads to the bytes


@pytest.mark.usefixtures("built")
def test_a_range_beyond_the_end_of_a_built_archive_leads_nowhere(shared: Shared) -> None:
    put_together(f"/s/{shared.link()}/download/all")
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    size = int(visitor("beyond").head(path).headers["content-length"])
    answer = visitor("beyond").get(path, headers={"Range": f"bytes={size}-"})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{size}"
    assert "location" not in answer.headers
    assert shared.zips(share) == 0


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("probe", ["bytes=0-0", "bytes=0-1"])
def test_a_probe_of_a_built_archive_gets_its_bytes_and_no_address(shared: Shared, probe: str) -> None:
    put_together(f"/s/{shared.link()}/download/all")
    share = shared.link()
    answer = visitor("probe").get(f"/s/{share}/download/all", headers={"Range": probe})
    assert (answer.status_code, answer.content) == (206, b"PK"[: int(probe[-1]) + 1])
    assert "location" not in answer.headers
    assert shared.zips(share) == 0


def test_a_photo_gives_nothing_to_probes_and_beyond_its_end(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/{shared.photos[1]}"
    size = len(shared.originals[1])
    beyond = client().get(path, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert "location" not in beyond.headers
    probed = client().get(path, headers={"Range": "bytes=0-1"}, follow_redirects=True)
    assert (probed.status_code, probed.content) == (206, shared.originals[1][:2])
    assert probed.url.path.endswith("/file")
    assert shared.counters(share) == (0, 0, 0)


@pytest.mark.usefixtures("built")
def test_a_link_that_is_used_up_puts_nothing_together(shared: Shared) -> None:
    sql("DELETE FROM archives")
    share = shared.link(max_downloads=1)
    assert visitor("first").get(f"/s/{share}/download/{shared.photos[0]}").status_code == 307
    path = f"/s/{share}/download/all"
    other = visitor("other")
    problem(other.get(path), 403, "download_limit_reached")
    problem(other.get(f"{path}/status"), 403, "download_limit_reached")
    assert other.head(path).status_code == 403
    assert sql("SELECT 1 FROM archives") == []


def test_whoever_has_paid_is_told_of_the_archive_to_the_end(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    assert visitor("paid").get(path, headers={"Range": "bytes=0-99"}).status_code == 206
    assert visitor("paid").head(path).status_code == 200
    assert visitor("paid").get(f"{path}/status").status_code == 200
    assert visitor("other").head(path).status_code == 403


# ---------------------------------------------------------------- after a night


def test_a_stream_is_resumed_after_midnight_and_a_day_but_not_after_the_next(shared: Shared, time: Clock) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    assert visitor("night").get(path, headers={"Range": "bytes=0-99999"}).status_code == 206
    time.later(minutes=20)
    assert visitor("night").get(path, headers={"Range": "bytes=100000-199999"}).status_code == 206
    problem(visitor("other").get(path), 403, "download_limit_reached")
    time.later(hours=23, minutes=40)
    sql("UPDATE archive_downloads SET at = at - interval '47 hours'")
    sweep.run()
    assert visitor("night").get(path, headers={"Range": "bytes=200000-"}).status_code == 206
    assert shared.zips(share) == 1
    time.later(hours=1)
    problem(visitor("night").get(path, headers={"Range": "bytes=200000-"}), 403, "download_limit_reached")


@pytest.mark.usefixtures("built")
def test_a_built_archive_is_resumed_after_a_night(shared: Shared, time: Clock) -> None:
    put_together(f"/s/{shared.link()}/download/all")
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    for headers in ({}, {"Range": "bytes=1000-"}):
        assert visitor("night").get(path, headers=headers).status_code == 307
        time.later(hours=8)
    assert shared.zips(share) == 1


def test_a_break_before_midnight_is_the_same_download_after_it(shared_api: str, time: Clock) -> None:
    assert shared_api
    shared = Shared(large=3)
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    leave_early(path, "patient")
    time.later(hours=9)
    assert visitor("patient").get(path).status_code == 200
    assert shared.zips(share) == 1


def test_segments_around_midnight_are_one_download(shared: Shared, time: Clock) -> None:
    share = shared.link()

    def segment(number: int) -> int:
        if number == 20:
            time.later(minutes=20)
        return (
            visitor("owl")
            .get(f"/s/{share}/download/all?size=web", headers={"Range": f"bytes={20 * number}-{20 * number + 9}"})
            .status_code
        )

    # The first one is counted before midnight: no request can know the hash of the day that comes.
    assert segment(0) == 206
    assert set(in_parallel(39, lambda number: segment(number + 1))) == {206}
    assert shared.zips(share) == 1


# ---------------------------------------------------------------- photos


def test_parts_of_a_photo_are_one_download_and_its_resume_is_never_refused(shared: Shared, time: Clock) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/{shared.photos[1]}"
    original, half = shared.originals[1], len(shared.originals[1]) // 2
    parts = []
    for part in (f"bytes=0-{half - 1}", f"bytes={half}-"):
        with httpx.Client(verify=False, follow_redirects=True, headers={"User-Agent": "curl"}) as browser:
            parts.append(browser.get(running[0].url + path, headers={"Range": part}).content)
        time.later(hours=9)
    assert b"".join(parts) == original
    problem(visitor("other").get(path), 403, "download_limit_reached")
    assert visitor("curl").get(path).status_code == 307  # the whole once more, as programs do that resume
    assert singles(shared, share) == 1


def test_parts_of_a_photo_never_lead_to_the_whole_and_are_counted_to_the_byte(shared: Shared) -> None:
    """An address of the bucket gives the whole file however little was asked for."""
    share = shared.link(max_downloads=1)
    path, size = f"/s/{share}/download/{shared.photos[1]}", len(shared.originals[1])
    for part in ("bytes=5-9", f"bytes={size // 2}-", "bytes=-100", f"bytes=0-{size - 2}"):
        answer = visitor("splitter").get(path, headers={"Range": part})
        assert (answer.status_code, answer.headers["location"]) == (307, f"/s/{share}/photos/{shared.photos[1]}/file")
    assert singles(shared, share) == 0
    whole = [visitor("splitter").get(path, headers={"Range": "bytes=0-"}) for _ in range(11)]
    assert [answer.status_code for answer in whole] == [307] * 10 + [403]
    assert all("X-Amz-Signature" in answer.headers["location"] for answer in whole[:10])
    assert singles(shared, share) == 1


def test_a_photo_that_began_in_the_bucket_is_carried_on_by_its_validator(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path, original = f"/s/{share}/download/{shared.photos[1]}", shared.originals[1]
    begun = visitor("browser").get(path, follow_redirects=True)
    assert begun.content == original
    headers = {"Range": "bytes=1000-", "If-Range": begun.headers["etag"]}
    rest = visitor("browser").get(path, headers=headers, follow_redirects=True)
    assert (rest.status_code, rest.content) == (206, original[1000:])
    assert rest.headers["etag"] == begun.headers["etag"]
    assert singles(shared, share) == 1


def test_a_photo_that_changed_is_sent_whole_to_who_resumes_it(shared: Shared) -> None:
    """The bucket would ignore If-Range, and send the end of another file."""
    share = shared.link(download="web")
    path = f"/s/{share}/download/{shared.photos[1]}"
    begun = visitor("browser").get(path, follow_redirects=True)
    shared.anna.call("PATCH", f"/share-links/{share}", json={"download": "original"})
    headers = {"Range": "bytes=1000-", "If-Range": begun.headers["etag"]}
    rest = visitor("browser").get(path, headers=headers, follow_redirects=True)
    assert (rest.status_code, rest.content) == (200, shared.originals[1])
    assert begun.content != shared.originals[1]


def test_head_of_a_photo_tells_of_it_and_counts_nothing(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/{shared.photos[1]}"
    told = visitor("browser").head(path, follow_redirects=True)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-length"] == str(len(shared.originals[1]))
    assert told.headers["accept-ranges"] == "bytes"
    assert singles(shared, share) == 0
    taken = visitor("browser").get(path, follow_redirects=True)
    assert (taken.status_code, taken.headers["etag"]) == (200, told.headers["etag"])


def begun(shared: Shared, share: str) -> bool:
    return sum(shared.counters(share)[1:]) > 0


def test_aria2_goes_on_with_what_it_was_stopped_at(shared: Shared, tmp_path: Path) -> None:
    """Its first request is always for the whole, and what it had not read may lie in buffers of either side."""
    for target in (f"download/{shared.photos[1]}", "download/all"):
        share = shared.link(max_downloads=1)
        url = f"{running[0].url}/s/{share}/{target}"
        command = ["aria2c", "--no-conf", "-q", "-x4", "-s4", "-k1M", "-c", f"-o{share}", "--auto-save-interval=0", url]
        slowly = subprocess.Popen([*command, "--max-download-limit=200K"], cwd=tmp_path)
        eventually(partial(begun, shared, share))
        eventually((tmp_path / share).exists)  # it has read the head of the answer, and will note what it has
        slowly.send_signal(signal.SIGINT)
        slowly.wait(20)
        assert (tmp_path / f"{share}.aria2").exists(), "it was stopped before its end"
        subprocess.run(command, check=True, cwd=tmp_path)
        if target == "download/all":
            with zipfile.ZipFile(tmp_path / share) as archive:
                assert archive.testzip() is None
        else:
            assert (tmp_path / share).read_bytes() == shared.originals[1]
        assert sum(shared.counters(share)[1:]) == 1


def test_programs_resume_and_split_a_photo_as_one_download(shared: Shared, tmp_path: Path) -> None:
    original = shared.originals[1]
    for program in (
        ["curl", "-sfL", "-C", "-", "-o", "kept.jpg"],
        ["aria2c", "--no-conf", "-q", "-x4", "-s4", "-k1M", "-okept.jpg"],
    ):
        share = shared.link(max_downloads=1)
        url = f"{running[0].url}/s/{share}/download/{shared.photos[1]}"
        kept = tmp_path / "kept.jpg"
        if program[0] == "curl":
            subprocess.run(["curl", "-sfL", "-r", "0-1999999", "-o", kept, url], check=True)
        subprocess.run([*program, url], check=True, cwd=tmp_path)
        assert kept.read_bytes() == original, program[0]
        assert singles(shared, share) == 1, program[0]
        kept.unlink()


def test_two_hundred_parallel_starts_of_a_photo_never_overrun_a_limit(shared: Shared) -> None:
    share = shared.link(max_downloads=11)
    path = f"/s/{share}/download/{shared.photos[0]}"
    browser = client(keeps_cookies=False)
    statuses = in_parallel(
        200, lambda n: browser.get(path, headers={"User-Agent": f"visitor {n}"}).status_code, threads=200
    )
    assert (statuses.count(307), statuses.count(403)) == (11, 189)
    assert singles(shared, share) == 11


# ---------------------------------------------------------------- copies


@pytest.mark.usefixtures("built")
def test_two_hundred_visitors_of_a_built_archive_never_overrun_a_limit(shared: Shared) -> None:
    put_together(f"/s/{shared.link()}/download/all")
    share = shared.link(max_downloads=7)
    browser = client(keeps_cookies=False)
    statuses = in_parallel(
        200,
        lambda n: browser.get(f"/s/{share}/download/all", headers={"User-Agent": f"visitor {n}"}).status_code,
        threads=200,
    )
    assert (statuses.count(307), statuses.count(403)) == (7, 193)
    assert shared.zips(share) == 7


@pytest.mark.usefixtures("built")
def test_whole_copies_from_the_bucket_again_and_again_are_counted_again(shared: Shared) -> None:
    put_together(f"/s/{shared.link()}/download/all")
    share = shared.link(max_downloads=2)
    path = f"/s/{share}/download/all"
    assert [visitor("greedy").get(path).status_code for _ in range(21)] == [307] * 20 + [403]
    assert shared.zips(share) == 2
    assert visitor("greedy").head(path).status_code == 403


def test_whole_copies_by_ranges_are_counted_again(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all?size=web"
    copies = [visitor("greedy").get(path, headers={"Range": "bytes=0-"}) for _ in range(11)]
    assert [copy.status_code for copy in copies] == [206] * 10 + [403]
    with zipfile.ZipFile(io.BytesIO(copies[0].content)) as archive:
        assert archive.testzip() is None


def test_what_was_asked_for_and_never_sent_is_taken_off_again(shared_api: str) -> None:
    assert shared_api
    shared = Shared(large=3)
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    leave_early_often(12, share, "tunnel", {"Range": "bytes=5-"})  # more than ten copies, had they come
    assert visitor("tunnel").get(path, headers={"Range": "bytes=5-"}).status_code == 206
    assert shared.zips(share) == 1
