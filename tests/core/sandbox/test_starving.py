"""A child that takes all threads it can get, beside honest pictures."""

import os
import socket
from pathlib import Path

import pytest

from safelight.sandbox import warm
from safelight.sandbox.privileges import OWN_IDS
from safelight.sandbox.wire import RECORD
from tests.core.pictures.samples import jpeg
from tests.core.sandbox.running import USERS, run

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="system calls of Linux")

NO_ROOT = [user for user in USERS if user]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound photo, large enough for a decoder's threads."""
    path = tmp_path_factory.mktemp("starving") / "picture.jpg"
    path.write_bytes(jpeg(1700, 1500))
    return path


@pytest.mark.skipif(0 not in USERS, reason="children have ids of their own when their parent is root")
def test_beside_a_thread_bomb_of_another_id_a_picture_is_ready(picture: Path) -> None:
    found = run("tests.core.sandbox.starving", 0, 0, picture)
    assert found["user"] in OWN_IDS
    assert 8 < found["threads"] <= 64
    assert (found["before"], set(found["during"]), found["after"]) == ("ready", {"ready"}, "ready")


@pytest.mark.parametrize("user", NO_ROOT)
@pytest.mark.parametrize("left", [0, 1, 2, 3, 5])
def test_beside_a_thread_bomb_of_the_same_user_a_picture_is_ready_or_tried_again(
    user: int, left: int, picture: Path
) -> None:
    found = run("tests.core.sandbox.starving", user, left, picture)
    assert (found["before"], found["after"]) == ("ready", "ready")
    assert set(found["during"]) <= {"ready", "tried again"}
    if left == 0:
        assert set(found["during"]) == {"tried again"}, "the bomb left no thread"


def test_a_child_keeps_its_number_until_its_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    report, report_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    states = []
    write = os.write

    def watched(descriptor: int, record: bytes) -> int:
        states.append(Path(f"/proc/{pid}/stat").read_text().split()[2])
        return write(descriptor, record)

    monkeypatch.setattr(os, "write", watched)
    warm._report({pid: warm._Running(OWN_IDS[0], report_end)})
    assert states == ["Z"], "it has ended, and its number is not free yet"
    assert os.read(report, 16) == RECORD.pack(7)
    os.close(report)
    assert not Path(f"/proc/{pid}").exists()


def test_children_that_run_have_different_ids() -> None:
    here, there = socket.socketpair()
    with here, there:
        served = warm._Warm(here, bytes, None, required=True)
        for pid in range(len(OWN_IDS)):
            served.running[pid] = warm._Running(served.free_id(), -1)
        assert sorted(child.own_id for child in served.running.values()) == list(OWN_IDS)
        with pytest.raises(BlockingIOError):
            served.free_id()
        freed = served.running.pop(5).own_id
        assert served.free_id() == freed
