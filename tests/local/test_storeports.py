"""The ports and sockets of the store: taken ones, squatted ones, and paths that are too long for a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import storeports
from local.objectstore import ObjectStore
from local.process import StartError, free_ports
from tests.local.impostor import impostor, listen_only


@pytest.fixture
def squatted() -> Iterator[list[int]]:
    """Free ports, of which the third part's socket in /tmp is there already and cannot be removed."""
    ports = free_ports(8)
    path = storeports.sockets(dict(zip(("s3.port", "volume.port", *storeports.SEALED), ports, strict=True)))
    squatter = path["filer.port.grpc"]
    squatter.mkdir()
    yield ports
    squatter.rmdir()


def test_a_port_whose_socket_somebody_made_first_is_skipped(
    squatted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = [squatted, free_ports(8)]
    monkeypatch.setattr(storeports, "free_ports", lambda _count: offers.pop(0))
    chosen = storeports.choose(tmp_path, None)
    assert offers == []
    assert not set(chosen.values()) & set(squatted)
    assert json.loads((tmp_path / "ports.json").read_text()) == chosen


def test_only_squatted_ports_are_an_error(squatted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storeports, "free_ports", lambda _count: squatted)
    with pytest.raises(StartError, match="belong to another user"):
        storeports.choose(tmp_path, None)


def test_a_taken_s3_port_is_an_error_and_no_other_is_taken(tmp_path: Path) -> None:
    with impostor(listen_only) as other:
        store = ObjectStore(tmp_path, "KEY", "secret", port=other.port)
        with pytest.raises(StartError, match=rf"Port {other.port} of 127.0.0.1.*S3_PORT={other.port + 1} make up"):
            store.start()
        assert store.pid is None
        assert other.received == []


def test_what_a_killed_start_left_in_tmp_is_removed(tmp_path: Path) -> None:
    left = storeports.choose(tmp_path, None)
    leftovers = list(storeports.sockets(left).values())
    for path in leftovers:
        path.touch()
    (port,) = free_ports(1)
    in_use = storeports.sockets({"s3.port.grpc": port})["s3.port.grpc"]
    in_use.touch()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        storeports.remove_sockets({"s3.port.grpc": port})
        assert in_use.exists(), "its port is used again"
    in_use.unlink()
    storeports.choose(tmp_path, None)
    assert [path for path in leftovers if path.exists()] == []


def test_a_home_with_a_long_name_has_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20) / ("name" * 10)
    places = []
    for _ in range(2):
        with ObjectStore(deep, "KEY", "secret") as store:
            places.append(store.socket)
            assert store.socket.is_socket()
            assert store.socket.parent.stat().st_mode & 0o077 == 0
            store.create_bucket("photos")
    assert places[0] == places[1]
    assert not places[0].is_relative_to(tmp_path)
    places[0].unlink(missing_ok=True)
    places[0].parent.rmdir()


def test_a_folder_that_is_not_ours_any_more_is_not_used(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    first = storeports.s3_socket(deep)
    first.parent.chmod(0o755)  # as after a cleaner of /tmp, when somebody else made it again
    second = storeports.s3_socket(deep)
    assert second.parent != first.parent
    for path in (first, second):
        path.parent.rmdir()
