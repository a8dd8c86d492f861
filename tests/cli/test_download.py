"""`safelight download` against the real server: whole, resumed, changed, locked, built, failed, full, stopped."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from cli import extract
from cli.check import damage
from cli.download import filename
from cli.errors import BROKEN, DISK, NETWORK, REFUSED, SIGN_IN, STOPPED, CommandError
from safelight import storage
from tests.api import PASSWORD, client, jpeg
from tests.cli.conftest import MIB, Command, Large, build_parts
from tests.functions.support import sql

ROOT = Path(__file__).resolve().parents[2]


def left_over() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_a_download_from_nothing_to_its_name(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link()
    assert safelight("download", link) == 0
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()
    assert left_over() == ["Anna & Ben.zip"]
    assert capsys.readouterr().out == "Anna & Ben.zip\n"
    assert large.zips(link) == 1
    # Once more: it is there, and nothing is fetched or counted.
    assert safelight("download", link) == 0
    assert "there already, whole" in capsys.readouterr().err
    assert large.zips(link) == 1


def test_to_a_folder_and_to_a_file_in_web_size(large: Large, safelight: Command) -> None:
    link = large.link(download="web")
    Path("folder").mkdir()
    assert safelight("download", link, "--to", "folder") == 0
    assert safelight("download", link, "--size", "web", "--to", "new/mine.zip") == 0
    whole = client().get(f"{link.replace(large.way.url, '')}/download/all").content
    assert Path("folder/Anna & Ben (web size).zip").read_bytes() == Path("new/mine.zip").read_bytes() == whole
    assert safelight("download", link, "--size", "original") == REFUSED


def test_what_is_in_the_way_is_left_alone(large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]) -> None:
    link = large.link()
    Path("Anna & Ben.zip").write_text("my own")
    assert safelight("download", link) == REFUSED
    Path("other.zip.part").write_text("who knows")
    assert safelight("download", link, "--to", "other.zip") == REFUSED
    assert "is in the way" in capsys.readouterr().err
    assert (Path("Anna & Ben.zip").read_text(), Path("other.zip.part").read_text()) == ("my own", "who knows")
    assert large.zips(link) == 0


def test_a_cut_connection_is_resumed_by_itself(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link(max_downloads=1)
    large.way.cuts = [3 * MIB, 100, 2 * MIB, 5 * MIB]
    assert safelight("download", link) == 0
    said = capsys.readouterr().err
    assert said.count("Interrupted:") == 4
    assert said.count("Going on at") == 3
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()
    assert large.zips(link) == 1


def test_who_gives_up_goes_on_later(large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]) -> None:
    link = large.link()
    large.way.cuts = [4 * MIB, *[0] * 20]
    assert safelight("download", link) == NETWORK
    assert "run the same command again" in capsys.readouterr().err.lower()
    kept = Path("Anna & Ben.zip.part").stat().st_size
    assert 3 * MIB < kept < 4 * MIB
    large.way.cuts = []
    assert safelight("download", link) == 0
    assert f"Going on at {kept / 1e6:.1f} MB" in capsys.readouterr().err
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()
    assert left_over() == ["Anna & Ben.zip"]


def test_a_gallery_that_changed_meanwhile_is_started_again(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link()
    large.way.cuts = [4 * MIB, *[0] * 20]
    assert safelight("download", link) == NETWORK
    large.way.cuts = []
    large.add("3.jpg")
    capsys.readouterr()
    assert safelight("download", link) == 0
    assert "has changed" in capsys.readouterr().err
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()


def test_a_zip_of_the_gallery_as_it_was_is_not_called_whole(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link()
    assert safelight("download", link) == 0
    old = Path("Anna & Ben.zip").read_bytes()
    # As long as it was, and every photo undamaged: only the names tell.
    sql("UPDATE photos SET filename = 'Z.jpg' WHERE filename = '2.jpg'")
    capsys.readouterr()
    assert safelight("download", link) == REFUSED
    assert "something else" in capsys.readouterr().err
    assert Path("Anna & Ben.zip").read_bytes() == old
    assert safelight("download", link, "--to", "new.zip") == 0
    assert len(old) == Path("new.zip").stat().st_size
    assert zipfile.ZipFile("new.zip").namelist()[:2] == ["1.jpg", "Z.jpg"]


def test_an_address_with_choices_is_taken_at_its_word(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link()
    path = link.replace(large.way.url, "")
    visitor, photo = client(), sql("SELECT id FROM photos WHERE filename = '2.jpg'")[0][0]
    assert visitor.put(f"{path}/favourites/{photo}").status_code == 200
    [[selection]] = sql("SELECT id FROM selections")
    assert safelight("download", f"{link}/download/all?selection={selection}&size=web&utm_source=mail") == 0
    assert zipfile.ZipFile("Anna & Ben favourites (web size).zip").namelist() == ["2.jpg", "SHA256SUMS.txt"]
    assert safelight("download", f"{link}?size=web", "--size", "original", "--to", "all.zip") == 0
    assert Path("all.zip").read_bytes() == large.archive()
    capsys.readouterr()
    assert safelight("download", f"{link}/download/all?selection=mine") == REFUSED
    assert "only your browser knows" in capsys.readouterr().err
    assert safelight("download", f"{link}/download/{photo}") == REFUSED
    assert f"For all of its photos: {link}\n" in capsys.readouterr().err
    assert safelight("download", f"{link}/download/all?selection=") == REFUSED
    assert left_over() == ["Anna & Ben favourites (web size).zip", "all.zip"]


def test_the_half_of_another_download_is_not_touched(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = large.link(), large.link()
    large.way.cuts = [4 * MIB, *[0] * 20]
    assert safelight("download", one) == NETWORK
    large.way.cuts = []
    kept = Path("Anna & Ben.zip.part").read_bytes()
    assert safelight("download", other) == REFUSED
    assert "half of another download" in capsys.readouterr().err
    assert Path("Anna & Ben.zip.part").read_bytes() == kept


def test_bytes_that_arrived_wrong_never_get_the_name(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link()
    large.way.cuts = [4 * MIB, *[0] * 20]
    assert safelight("download", link) == NETWORK
    large.way.cuts = []
    part = Path("Anna & Ben.zip.part")
    part.write_bytes(part.read_bytes()[:-100] + b"x" * 100)
    assert safelight("download", link) == BROKEN
    assert "“1.jpg” is damaged" in capsys.readouterr().err
    assert left_over() == []


def test_a_locked_link(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = large.link(password="Open 42")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert safelight("download", link) == SIGN_IN
    assert "--password-stdin" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("Open 43\n"))
    assert safelight("download", link, "--password-stdin") == SIGN_IN
    assert "not the gallery's password" in capsys.readouterr().err
    assert left_over() == []
    monkeypatch.setattr(sys, "stdin", io.StringIO("Open 42\n"))
    assert safelight("download", link, "--password-stdin") == 0
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()


def test_a_large_archive_is_waited_for(building: Large, safelight: Command, capsys: pytest.CaptureFixture[str]) -> None:
    link = building.link(max_downloads=1)
    assert safelight("download", link, "--extract") == 0
    said = capsys.readouterr()
    assert "puts it together first" in said.err
    assert said.out == "Anna & Ben.zip\nAnna & Ben\n"
    assert sorted(path.name for path in Path("Anna & Ben").iterdir()) == ["1.jpg", "2.jpg", "SHA256SUMS.txt"]
    assert Path("Anna & Ben/1.jpg").read_bytes() == jpeg() + bytes(6 * MIB)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS.txt"], cwd="Anna & Ben", check=True)
    assert building.zips(link) == 1
    assert safelight("download", link, "--extract") == REFUSED  # not over what is there


def test_an_archive_that_was_cut_as_a_stream_comes_whole_when_it_is_built(
    large: Large, safelight: Command, request: pytest.FixtureRequest
) -> None:
    link, whole = large.link(), large.archive()
    large.way.cuts = [4 * MIB, *[0] * 20]
    assert safelight("download", link) == NETWORK
    large.way.cuts = []
    request.getfixturevalue("building")
    assert safelight("download", link) == 0
    assert Path("Anna & Ben.zip").read_bytes() == whole
    assert left_over() == ["Anna & Ben.zip"]


def test_an_archive_that_cannot_be_built_says_why(
    built: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = built.link()
    client().get(f"{link.replace(built.way.url, '')}/download/all")
    [[key]] = sql("SELECT s3_key FROM photos WHERE filename = '2.jpg'")
    storage.storage().delete([key])
    assert build_parts() == 3
    assert safelight("download", link) == BROKEN
    assert "“2.jpg” cannot be read" in capsys.readouterr().err
    assert left_over() == []


@pytest.mark.parametrize(
    "what", ["nonsense", "https://", "http://127.0.0.1:1/elsewhere", "00000000-0000-4000-8000-00000000000g"]
)
def test_what_is_no_link_is_said_so(what: str, safelight: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert safelight("download", what) == REFUSED
    assert "Traceback" not in capsys.readouterr().err


def test_a_link_that_is_over_and_a_host_that_is_not_there(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert safelight("download", f"{large.way.url}/s/long-gone") == REFUSED
    assert "There is nothing here" in capsys.readouterr().err
    assert safelight("download", "http://127.0.0.1:1/s/x") == NETWORK
    assert safelight("download", large.gallery) == SIGN_IN
    assert left_over() == []


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_a_full_disk_keeps_what_has_come(large: Large, safelight: Command) -> None:
    link = large.link()

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))

    ended = subprocess.run(
        command("download", link),
        env=environment(), preexec_fn=little_room, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (DISK, "")
    assert "The disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert Path("Anna & Ben.zip.part").stat().st_size == 5_000_000
    assert safelight("download", link) == 0
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()
    assert large.zips(link) == 1


def test_ctrl_c_leaves_a_part_to_go_on_with(
    large: Large, safelight: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    link = large.link()
    large.way.rate = 2 * MIB
    # Ignored, as it is behind a shell's `&`, the signal would be ignored by the command, too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(command("download", link), env=environment(), stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    part = Path("Anna & Ben.zip.part")
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > MIB):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    large.way.rate = MIB / 16  # three minutes more: it cannot be done before it is stopped
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == STOPPED
    assert "Stopped." in said
    assert "Traceback" not in said
    kept = part.stat().st_size
    large.way.rate = None
    assert safelight("download", link) == 0
    assert "Going on at" in capsys.readouterr().err
    assert kept > MIB
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()


def test_two_at_a_time_do_not_mix(large: Large, safelight: Command) -> None:
    link = large.link()
    large.way.rate = 2 * MIB
    running = subprocess.Popen(command("download", link), env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not Path("Anna & Ben.zip.part.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert safelight("download", link) == REFUSED
    large.way.rate = None
    assert running.wait(60) == 0
    assert Path("Anna & Ben.zip").read_bytes() == large.archive()


class TestPhotographer:
    def sign_in(self, large: Large, safelight: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        assert safelight("login", large.way.url, "--name", large.anna.email, "--password-stdin") == 0
        [kept] = Path(os.environ["HOME"]).rglob("login.json")
        return kept

    def test_downloads_her_own_gallery(
        self,
        large: Large,
        safelight: Command,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        kept = self.sign_in(large, safelight, monkeypatch)
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        assert PASSWORD not in kept.read_text()
        capsys.readouterr()
        assert safelight("galleries") == 0
        assert capsys.readouterr().out == f"{large.gallery}       2  Anna & Ben\n"
        assert safelight("download", large.gallery) == 0
        assert Path("Anna & Ben.zip").read_bytes() == large.archive()
        assert safelight("download", large.gallery) == 0
        assert "there already, whole" in capsys.readouterr().err

    def test_refresh_tokens_rotate_and_outlive_the_access_token(
        self, large: Large, safelight: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = self.sign_in(large, safelight, monkeypatch)
        seen = [json.loads(kept.read_text())]
        for ended in ({"expires_at": 0.0}, {"access_token": "refused"}):
            kept.write_text(json.dumps(seen[-1] | ended))
            assert safelight("galleries") == 0
            seen.append(json.loads(kept.read_text()))
        assert len({one["refresh_token"] for one in seen}) == 3

    def test_a_session_that_is_over_says_what_to_do(
        self,
        large: Large,
        safelight: Command,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        kept = self.sign_in(large, safelight, monkeypatch)
        stored = json.loads(kept.read_text())
        client().post("/auth/logout", json={"refresh_token": stored["refresh_token"]})
        kept.write_text(json.dumps(stored | {"expires_at": 0}))
        assert safelight("galleries") == SIGN_IN
        assert f"safelight login {large.way.url}" in capsys.readouterr().err
        kept.write_text("{")
        assert safelight("galleries") == SIGN_IN

    def test_a_wrong_password_and_an_open_line(
        self,
        large: Large,
        safelight: Command,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("wrong\n"))
        assert safelight("login", large.way.url, "--name", large.anna.email, "--password-stdin") == SIGN_IN
        assert list(Path(os.environ["HOME"]).rglob("login.json")) == []
        assert safelight("login", "http://photos.example", "--name", "a@b.c", "--password-stdin") == REFUSED
        assert "anybody on the way" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=\"Anna _ Ben.zip\"; filename*=UTF-8''%D0%90%D0%BD%D0%BD%D0%B0.zip", "Анна.zip"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''..%2F..%5Cx%00%1b[31m.zip", "x[31m.zip"),
        ('attachment; filename="..."', "photos.zip"),
        ("", "photos.zip"),
    ],
)
def test_the_servers_name_is_only_a_name(disposition: str, name: str) -> None:
    assert filename(disposition) == name


HOSTILE = ["../out.jpg", "/etc/x", "a/../../x", "C:\\x", "a\\..\\x", "C:x"]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_unpacked_outside_its_folder(name: str) -> None:
    with zipfile.ZipFile("bad.zip", "w") as archive:
        archive.writestr("good.jpg", b"1")
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"2")
    with pytest.raises(CommandError, match="not safe"):
        extract.extract(Path("bad.zip"))
    assert left_over() == ["bad.zip"]


def test_a_link_in_an_archive_is_not_unpacked() -> None:
    with zipfile.ZipFile("bad.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(CommandError, match="not safe"):
        extract.extract(Path("bad.zip"))


def test_damage_is_found_wherever_it_is() -> None:
    with zipfile.ZipFile("x.zip", "w") as archive:
        archive.writestr("one.jpg", b"1" * 1000)
        archive.writestr("two.jpg", b"2" * 1000)
    whole = Path("x.zip").read_bytes()
    assert damage(Path("x.zip"), len(whole)) is None
    assert damage(Path("x.zip"), len(whole) + 1) == "its length is wrong"
    for at, told in ((500, "one.jpg"), (1500, "two.jpg"), (len(whole) - 10, "no ZIP archive")):
        Path("x.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        wrong = damage(Path("x.zip"), len(whole))
        assert wrong is not None
        assert told in wrong
