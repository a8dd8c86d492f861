"""The home: closed to other users, whatever was left open before."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from local import home as module
from local import private
from local.addresses import origins_of, wanted_port
from local.home import Home
from local.objectstore import ObjectStore
from local.process import StartError


def granted(top: Path) -> list[str]:
    """Every path that grants something to group or others."""
    return [str(path) for path in (top, *top.rglob("*")) if path.lstat().st_mode & 0o077 and not path.is_symlink()]


def test_a_new_home_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.lock()
    assert home._lock is not None
    home._lock.close()
    home.secrets()
    home.remember_port("postgres", 5432)
    assert home.known_port("postgres") == 5432
    assert granted(home.directory) == []


def test_an_old_home_is_closed_at_the_next_start(tmp_path: Path) -> None:
    directory = tmp_path / "home"
    for name in ("objects/data/filerldb2", "postgres/data", "logs"):
        (directory / name).mkdir(parents=True)
    files = ["objects/data/one.dat", "objects/data/one.vif", "postgres/postgres.log", "logs/gateway.log"]
    for name in (*files, "secrets.json"):
        (directory / name).write_text("{}")
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    outside = tmp_path / "outside"
    outside.write_text("somebody else's")
    outside.chmod(0o644)
    (directory / "logs" / "link").symlink_to(outside)
    Home(directory).close()
    assert granted(directory) == []
    assert stat.S_IMODE((directory / files[0]).stat().st_mode) == 0o600
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_a_directory_of_others_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "thesis.txt").write_text("x")
    with pytest.raises(StartError, match="SAFELIGHT_HOME"):
        Home(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert os.listdir(shared) == ["thesis.txt"]  # noqa: PTH208 - names are what is compared
    empty_but_public = tmp_path / "public"
    empty_but_public.mkdir()
    empty_but_public.chmod(0o1777)
    with pytest.raises(StartError, match="SAFELIGHT_HOME"):
        Home(empty_but_public)


def test_new_store_keys_leave_the_other_secrets(tmp_path: Path) -> None:
    home = Home(tmp_path)
    before = home.secrets()
    renewed = home.renew_store_keys()
    assert home.secrets() == renewed
    assert (renewed.database_password, renewed.jwt_secret) == (before.database_password, before.jwt_secret)
    assert renewed.access_key != before.access_key
    assert renewed.secret_key != before.secret_key


def test_a_log_is_limited_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 100)
    home = Home(tmp_path)
    with home.log("gateway").open("ab", buffering=0) as writing:
        writing.write(b"a" * 101)
        home.limit_logs()
        writing.write(b"b")
    assert home.log("gateway").read_bytes() == b"b"
    assert (home.logs / "gateway.log.1").read_bytes() == b"a" * 101
    assert granted(home.logs.parent) == [str(home.log("gateway"))]  # the test's own umask made it


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    private.write(path, "old")
    (tmp_path / "file.new").write_text("half of a write that was kil")
    private.write(path, json.dumps({"new": 1}))
    assert json.loads(path.read_text()) == {"new": 1}
    assert granted(path) == []


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", "80.0"])
def test_a_port_that_is_none_is_named(text: str) -> None:
    with pytest.raises(StartError, match=f"S3_PORT is '{text}'"):
        wanted_port({"S3_PORT": text}, "S3_PORT")
    assert wanted_port({"S3_PORT": "9000"}, "S3_PORT") == 9000
    assert wanted_port({}, "S3_PORT") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
@pytest.mark.parametrize("name", ["", "logs", "secrets.json"])
def test_what_another_user_could_change_is_refused_even_by_root(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "home"
    Home(directory).secrets()
    os.chown(directory / name, 65534, 65534)
    with pytest.raises(StartError, match="belongs to another user"):
        Home(directory).secrets()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
def test_a_store_in_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir(mode=0o700)
    os.chown(tmp_path / "objects", 65534, 65534)
    with pytest.raises(StartError, match="belongs to another user"):
        ObjectStore(tmp_path / "objects", "KEY", "secret").launch()


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        happened.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    private.write(tmp_path / "secrets.json", "new")
    assert happened == ["file", "rename", "folder"]
    assert (tmp_path / "secrets.json").read_text() == "new"


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("HTTPS://Photos.Example.COM:443/app", ["https://photos.example.com"]),
        ("http://photos.example.com:80", ["http://photos.example.com"]),
        ("https://photos.example.com:8443", ["https://photos.example.com:8443"]),
        ("http://LOCALHOST:8000", ["http://localhost:8000", "http://127.0.0.1:8000"]),
        ("http://127.0.0.1:80/", ["http://127.0.0.1", "http://localhost"]),
        ("http://[::1]:8000", ["http://[::1]:8000"]),
    ],
)
def test_an_origin_is_written_as_a_browser_sends_it(url: str, origins: list[str]) -> None:
    assert origins_of(url) == origins
