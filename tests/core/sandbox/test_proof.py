"""Where children cannot be sealed, this is found out before the first picture, and no picture is opened."""

import errno
import os
from pathlib import Path

import psutil
import pytest

from safelight.pictures import child
from safelight.pictures.errors import PicturesUnavailable, SandboxUnavailable
from safelight.sandbox import nursery as module
from safelight.sandbox.errors import SandboxMissing
from safelight.sandbox.privileges import OWN_IDS
from safelight.sandbox.proof import Proof
from tests.core.pictures.samples import jpeg
from tests.core.sandbox import faulty
from tests.core.sandbox.running import run

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="system calls of Linux")

ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "sound.jpg"
    path.write_bytes(jpeg())
    return path


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("allows everything", "the filter does not hold: a file could be opened"),
        ("allows what is not on the list", "the filter does not hold: a file could be opened"),
        ("opens files", "the filter does not hold: a file could be opened"),
        ("makes sockets", "the filter does not hold for: sockets"),
        ("forks", "the filter does not hold for: processes"),
        ("maps code", "the filter does not hold for: code"),
        ("kills nothing", "the filter does not end a process that breaks out"),
    ],
)
def test_a_filter_that_does_not_hold_is_found_out(
    fault: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = faulty.nursery(fault)
    monkeypatch.setattr(child, "NURSERY", home)
    try:
        with pytest.raises(SandboxUnavailable, match=reason):
            child.render(jpeg())
        assert home.refusal == reason
        [line] = [record for record in caplog.records if record.message == "sandbox_missing"]
        assert (line.levelname, line.__dict__["reason"]) == ("ERROR", reason)
    finally:
        home.close()


def test_the_products_own_filter_holds() -> None:
    child.NURSERY.prove()
    assert child.NURSERY.refusal is None


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ("seccomp", "seccomp: Operation not permitted"),
        ("seccomp, as an old kernel", "seccomp: Function not implemented"),
        ("prctl", "PR_SET_PDEATHSIG: Operation not permitted"),
    ],
)
def test_a_machine_that_lets_no_filter_in_opens_no_picture(refused: str, told: str, picture: Path) -> None:
    found = run("tests.core.sandbox.under", refused, "required", picture)
    assert told in found["first"]
    assert found["again"] == found["first"]
    assert [(line["level"], line["message"]) for line in found["lines"]] == [("ERROR", "sandbox_missing")]


@pytest.mark.parametrize("refused", ["nothing", "landlock", "as Docker", "close_range"])
def test_what_the_seal_can_do_without(refused: str, picture: Path) -> None:
    found = run("tests.core.sandbox.under", refused, "required", picture)
    assert (found["first"], found["again"]) == (320, 320)
    [line] = found["lines"]
    user = OWN_IDS[0] if ROOT else os.getuid()
    assert (line["level"], line["message"], line["uid"]) == ("INFO", "sandbox holds", user)
    if refused in ("landlock", "as Docker"):
        assert line["landlock"] == 0


@pytest.mark.skipif(not ROOT, reason="only root keeps its id without capabilities")
def test_root_without_capabilities_keeps_its_id_and_is_sealed_all_the_same(picture: Path) -> None:
    found = run("tests.core.sandbox.under", "capabilities", "required", picture)
    assert found["first"] == 320
    [line] = found["lines"]
    assert (line["level"], line["uid"]) == ("WARNING", 0)


@pytest.mark.parametrize("refused", ["prctl", "seccomp"])
def test_where_the_platform_is_the_wall_limits_hold_and_one_line_says_so(refused: str, picture: Path) -> None:
    found = run("tests.core.sandbox.under", refused, "platform", picture)
    assert (found["first"], found["again"]) == (320, 320)
    assert found["hostile"] == f"refused {errno.EMFILE}"
    lines = [(line["level"], line["message"], line["filter"]) for line in found["lines"]]
    assert lines == [("WARNING", "sandbox: the platform is the wall", "")] * 2  # two warm processes
    assert all(line["reason"] for line in found["lines"])


def test_a_platform_that_lets_the_filter_in_gets_it(picture: Path) -> None:
    found = run("tests.core.sandbox.under", "nothing", "platform", picture)
    assert found["hostile"] == f"refused {errno.EPERM}"
    assert all(line["filter"] for line in found["lines"])


def test_a_failed_proof_is_not_made_again_for_every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    home = faulty.nursery("makes sockets")
    monkeypatch.setattr(child, "NURSERY", home)
    try:
        with pytest.raises(SandboxUnavailable):
            child.render(jpeg())
        started = home._warm
        assert not psutil.pid_exists(started), "a warm process without a seal does not stay"
        with pytest.raises(SandboxUnavailable):
            child.render(jpeg())
        assert home._warm == started
        monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
        with pytest.raises(SandboxUnavailable):
            child.render(jpeg())
        assert home._warm != started
    finally:
        home.close()


def test_a_warm_process_that_says_nothing_is_no_missing_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    home = faulty.nursery("is not there")
    monkeypatch.setattr(child, "NURSERY", home)
    with pytest.raises(PicturesUnavailable) as caught:
        child.render(jpeg())
    assert not isinstance(caught.value, SandboxUnavailable)
    assert home.refusal is None


def test_a_proof_says_what_is_wrong() -> None:
    good = Proof(profile="x", killed=True, uid=1)
    assert good.refusal is None
    assert Proof.load(good.dump()) == good
    for bad, told in (
        (Proof(killed=True, open=("files", "code")), "the filter does not hold for: files, code"),
        (Proof(killed=True, error="seccomp: no"), "seccomp: no"),
        (Proof(), "does not end a process"),
        (Proof(killed=True, capabilities=1), "keeps capabilities"),
    ):
        assert bad.refusal is not None
        assert told in bad.refusal
        assert Proof.load(bad.dump()) == bad
    for line in (b"[]", b"{}", b"{"):
        with pytest.raises(ValueError, match=r"proof|Expecting"):
            Proof.load(line)


def test_a_missing_sandbox_names_its_reason() -> None:
    assert SandboxMissing("no filter").reason == "no filter"
