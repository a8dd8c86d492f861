"""The process wall: real children, killed, hung, starved and fed with hostile files."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from safelight.pictures import child, wire
from safelight.pictures.environment import environment
from safelight.pictures.errors import PicturesUnavailable, UnreadablePicture
from safelight.pictures.render import render
from safelight.sandbox.nursery import Nursery
from safelight.sandbox.wire import READY, Garbled, Limits
from tests.core.pictures.samples import encode, exif, jpeg, png_bomb, scene


def children() -> list[psutil.Process]:
    """The picture processes of this test process."""
    found: list[psutil.Process] = []
    for warm in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "safelight.pictures.inside" in " ".join(warm.cmdline()):
                found += warm.children()
    return found


def outlived() -> list[psutil.Process]:
    """Children that stay although their picture is done; the last one needs a moment to end after its answer."""
    until = time.monotonic() + 60
    while (left := children()) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def with_each_child(act: Callable[[psutil.Process], None], work: Callable[[], object]) -> tuple[int, BaseException]:
    """How many children of `work` were acted upon once they had begun on the picture, and how `work` failed."""
    done = threading.Event()
    hit: set[int] = set()

    def watch() -> None:
        while not done.is_set():
            for process in children():
                with contextlib.suppress(psutil.Error):
                    if process.pid not in hit and process.cpu_times().user > 0.1:
                        hit.add(process.pid)
                        act(process)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises((UnreadablePicture, PicturesUnavailable)) as caught:
            work()
    finally:
        done.set()
        watcher.join()
    assert not outlived(), "no child outlives its picture"
    return len(hit), caught.value


@pytest.fixture(scope="module")
def slow() -> bytes:
    """A file that takes seconds to open: 2 MB that unpack to 1.6 GB."""
    return png_bomb(20_000, 9_990)


def test_the_same_as_without_the_wall() -> None:
    data = encode(scene(500, 300), exif=exif(offset="+02:00", orientation=6))
    assert child.render(data, "image/jpeg") == render(data)


def test_a_refusal_comes_through_the_wall() -> None:
    data = jpeg(700, 500)
    with pytest.raises(UnreadablePicture, match="damaged or was not copied completely"):
        child.render(data[: len(data) // 2])
    with pytest.raises(UnreadablePicture, match="sent as PNG but it is a JPEG"):
        child.render(data, "image/png")


def test_a_child_killed_twice_is_the_pictures_end(slow: bytes) -> None:
    hits, error = with_each_child(lambda process: process.kill(), lambda: child.render(slow))
    assert hits == 2
    assert isinstance(error, UnreadablePicture)
    assert "had to stop" in error.reason


def test_a_child_killed_once_is_started_again() -> None:
    data = jpeg(4000, 3000)
    hit: list[int] = []

    def kill_first() -> None:
        until = time.monotonic() + 10
        while not hit and time.monotonic() < until:
            for process in children():
                process.kill()
                hit.append(process.pid)

    killer = threading.Thread(target=kill_first)
    killer.start()
    made = child.render(data)
    killer.join()
    assert len(hit) == 1
    assert made.width == 4000


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_is_the_pictures_fault(slow: bytes, number: signal.Signals) -> None:
    hits, error = with_each_child(lambda process: process.send_signal(number), lambda: child.render(slow))
    assert hits == 1
    assert isinstance(error, UnreadablePicture)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_to_stop_is_not(slow: bytes, number: signal.Signals) -> None:
    hits, error = with_each_child(lambda process: process.send_signal(number), lambda: child.render(slow))
    assert hits == 1
    assert isinstance(error, PicturesUnavailable)


def test_a_hung_child_is_ended_by_the_clock(slow: bytes) -> None:
    start = time.monotonic()
    limits = Limits(wall_seconds=2.5)
    hits, error = with_each_child(lambda process: process.suspend(), lambda: child.render(slow, limits=limits))
    assert hits == 1
    assert isinstance(error, UnreadablePicture)
    assert "too long" in error.reason
    assert time.monotonic() - start < 6


def test_a_busy_child_is_ended_by_its_processor_time(slow: bytes) -> None:
    with pytest.raises(UnreadablePicture, match="too long"):
        child.render(slow, limits=Limits(cpu_seconds=1))


@pytest.mark.parametrize(
    "data",
    [
        lambda: png_bomb(7000, 5000, interlaced=True),
        lambda: encode(Image.new("RGB", (8000, 6000), "teal"), "JPEG", progressive=True, subsampling=0),
        lambda: encode(Image.new("RGB", (8000, 6000), "teal"), "WEBP", lossless=True, method=0),
    ],
    ids=["png", "progressive", "webp"],
)
def test_over_its_memory(data: Callable[[], bytes]) -> None:
    with pytest.raises(UnreadablePicture, match="memory"):
        child.render(data(), limits=Limits(memory=230 * 1024**2))


def test_a_bomb_within_the_cap_stays_small() -> None:
    """36 megapixels of 16-bit RGBA, 288 MB unpacked, in a file of 300 KB: row by row, within the limit."""
    data = png_bomb(9000, 4000)
    assert len(data) < 400_000
    made = child.render(data, "image/png", limits=Limits(memory=400 * 1024**2))
    assert (made.width, made.height) == (9000, 4000)


@pytest.fixture
def nursery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """A home for children that has not been warmed up."""
    fresh = Nursery("safelight.pictures.inside", environment)
    monkeypatch.setattr(child, "NURSERY", fresh)
    yield fresh
    fresh.close()


@pytest.mark.usefixtures("nursery")
def test_a_machine_that_cannot_start_a_process_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(PicturesUnavailable):
        child.render(jpeg())
    monkeypatch.undo()
    child.render(jpeg())


@pytest.mark.usefixtures("nursery")
def test_a_broken_installation_fails_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent)])
    for _ in range(3):
        with pytest.raises(PicturesUnavailable):
            child.render(jpeg())


def test_a_killed_warm_process_is_replaced(nursery: Nursery) -> None:
    child.render(jpeg())
    first = nursery._warm
    psutil.Process(first).kill()
    with contextlib.suppress(PicturesUnavailable):  # it may be asked in the moment of its death
        child.render(jpeg())
    assert child.render(jpeg()).width == 320
    assert nursery._warm != first


def test_a_fork_of_the_worker_gets_children_of_its_own() -> None:
    code = f"""
import os, sys, pathlib
sys.path[:] = {sys.path!r}
from safelight.pictures import child
from safelight.pictures.child import NURSERY
from tests.core.pictures.samples import jpeg
data = jpeg()
child.render(data)
first = NURSERY._warm
if pid := os.fork():
    assert os.waitpid(pid, 0)[1] == 0
    child.render(data)
    assert NURSERY._warm == first
else:
    child.render(data)
    assert NURSERY._warm != first
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.usefixtures("nursery")
def test_many_at_once() -> None:
    """Sound, refused and dying ones side by side: each gets its own answer."""
    sound = {seed: encode(scene(200 + seed, 100, seed)) for seed in range(8)}
    broken = sound[0][: len(sound[0]) // 2]

    def one(seed: int) -> str:
        if seed % 3 == 2:
            with pytest.raises(UnreadablePicture, match="damaged") as caught:
                child.render(broken)
            return caught.value.reason
        return str(child.render(sound[seed % 8]).width - seed % 8)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(one, range(24)))
    assert [answer for seed, answer in enumerate(answers) if seed % 3 != 2] == ["200"] * 16


def test_no_secret_reaches_the_children(monkeypatch: pytest.MonkeyPatch, nursery: Nursery) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "DATABASE_URL", "JWT_SECRET", "PGPASSWORD"):
        monkeypatch.setenv(name, "CANARY")
    environments = []
    real = os.posix_spawn

    def spy(path: str, arguments: list[str], env: dict[str, str], **options: Any) -> int:
        environments.append(env)
        return real(path, arguments, env, **options)

    monkeypatch.setattr(os, "posix_spawn", spy)
    child.render(jpeg())
    (seen,) = environments
    assert seen["VIPS_BLOCK_UNTRUSTED"] == "1"
    assert "CANARY" not in "".join(seen.values())
    told = Path(f"/proc/{nursery._warm}/environ")
    assert not told.exists() or b"CANARY" not in told.read_bytes()


def test_a_child_does_not_outlive_a_killed_worker(slow: bytes, tmp_path: Path) -> None:
    (tmp_path / "slow.jpg").write_bytes(slow)
    code = f"""
import sys, pathlib
sys.path[:] = {sys.path!r}
from safelight.pictures import child
child.render(pathlib.Path({str(tmp_path / "slow.jpg")!r}).read_bytes())
"""
    with subprocess.Popen([sys.executable, "-c", code]) as worker:
        until = time.monotonic() + 10
        found: list[psutil.Process] = []
        while not found and time.monotonic() < until:
            with contextlib.suppress(psutil.Error):
                family = psutil.Process(worker.pid).children(recursive=True)
                found = family if any(process.cpu_times().user > 0.6 for process in family) else []
            time.sleep(0.01)
        worker.kill()
        worker.wait()
    assert len(found) == 2, "the warm one and its child"
    gone, left = psutil.wait_procs(found, timeout=5)
    assert not left
    assert gone


def test_an_answer_survives_the_pipe() -> None:
    data = encode(scene(300, 200), exif=exif(offset="+02:00"))
    made = render(data)
    assert made.clean is not None
    assert wire.load(READY + wire.dump(made), data) == made
    assert wire.load(READY + wire.dump("No."), b"") == "No."


@pytest.mark.parametrize(
    "forge",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw + b"x",
        lambda raw: raw.replace(b'"width": 300', b'"width": "3"'),
        lambda raw: raw.replace(b'"width": 300', b'"width": -30'),
        lambda raw: raw.replace(b'"width": 300', b'"width": 1e9'),
        lambda raw: raw.replace(b'["thumb"', b'["../th"'),
        lambda raw: raw.replace(b'"iso": 400', b'"iso": NaN'),
        lambda raw: raw.replace(b'"iso": 400', b'"gps": 400'),
        lambda raw: raw.replace(b'"iso": 400', b'"iso": "4"'),
        lambda raw: raw.replace(b'"iso": 400', b'"iso":true'),
        lambda raw: raw.replace(b"+02:00", b"      "),
        lambda raw: raw.replace(b'"orientation": 1', b'"flash": 1.00000'),
        lambda raw: re.sub(rb'(?<="clean": \[").', b"%", raw, count=1),
        lambda raw: re.sub(rb'(?<="clean": \[).*?(?=\], "rend)', lambda found: b"9" * len(found[0]), raw, count=1),
        lambda raw: re.sub(
            rb'(?<="clean": \[)".*?(?=\], "rend)', lambda f: b"[0, 99999]".ljust(len(f[0])), raw, count=1
        ),
        lambda raw: raw.replace(b'["thumb"', b'[],["th"'),
    ],
)
def test_a_forged_answer_is_garbage(forge: Callable[[bytes], bytes]) -> None:
    data = encode(scene(300, 200), exif=exif(offset="+02:00"))
    raw = READY + wire.dump(render(data))
    assert forge(raw) != raw
    with pytest.raises(Garbled):
        wire.load(forge(raw), data)


@pytest.mark.parametrize(
    "raw", [b"", b"R", b"R" + bytes(8), b"R\xff\xff\xff\xff", b"R\0\0\0\x04[1, ", b"R\0\0\0\x02[]"]
)
def test_no_answer_is_garbage(raw: bytes) -> None:
    with pytest.raises(Garbled):
        wire.load(raw, b"")


def test_a_child_that_answers_without_end_is_stopped() -> None:
    with pytest.raises(UnreadablePicture):
        child.render(jpeg(2000, 1500), limits=Limits(answer=1000))
    assert not outlived()


def test_standard_files_are_closed_again() -> None:
    before = psutil.Process().num_fds()
    for _ in range(3):
        child.render(jpeg(40, 30))
    assert psutil.Process().num_fds() == before
