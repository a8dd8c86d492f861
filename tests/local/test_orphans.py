"""A store that was killed: what belongs to no object is removed before S3 opens, and everything else stays."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import closing, orphans
from local.connect import connect
from local.home import Home
from local.objectstore import ObjectStore
from local.postgres import Postgres
from local.process import StartError, free_ports
from local.supervisor import Supervisor
from safelight.storage import compaction
from tests.volumes import canary, files_with

BUCKET = "safelight"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    """A running store with a bucket, of this test's own."""
    made = ObjectStore(tmp_path / "objects", "KEY", "secret")
    try:
        orphans.begin(made.directory)
        made.start()
        made.create_bucket(BUCKET)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> str:
    """A database without tables."""
    return postgres.create("without-tables")


def killed_after_delete(store: ObjectStore) -> bytes:
    """Kill the store when it has acknowledged a DELETE; what was in the object."""
    secret = canary()
    client = store.client()
    client.put_object(Bucket=BUCKET, Key="gone", Body=secret + os.urandom(40_000))
    assert files_with(store.directory, secret)
    client.delete_object(Bucket=BUCKET, Key="gone")
    store.kill()
    return secret


def purged(store: ObjectStore, database_url: str) -> list[str]:
    """Do what a start after a crash does before it opens S3; the lines for the person who started it."""
    said: list[str] = []
    assert orphans.begin(store.directory)
    store.launch(s3=False)
    orphans.purge(store, database_url, said.append)
    return said


def compact(store: ObjectStore) -> None:
    compaction.SeaweedCompactor(store.directory).run()


def test_what_a_killed_store_forgot_to_mark_is_removed_and_nothing_else(
    store: ObjectStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = store.client()
    kept = {f"kept/{number}": os.urandom(30_000 + number) for number in range(30)}
    for key, body in kept.items():
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    half = os.urandom(9_000_000)
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="half")["UploadId"]
    part = client.upload_part(Bucket=BUCKET, Key="half", UploadId=upload, PartNumber=1, Body=half)["ETag"]
    secret = killed_after_delete(store)

    # The danger is real: after a start without a purge no compaction removes these bytes.
    store.start()
    monkeypatch.setattr(compaction, "_ATTEMPTS", 2)
    with pytest.raises(compaction.BytesRemain, match="restart Safelight"):
        compact(store)
    assert files_with(store.directory, secret)
    store.kill()

    assert purged(store, database_url) == ["  1 pieces of deleted objects removed from the object store"]
    assert store.pid is None
    assert not (store.directory / orphans.SUSPECTED).exists()
    store.start()
    compact(store)
    assert files_with(store.directory, secret) == []
    client = store.client()
    client.complete_multipart_upload(
        Bucket=BUCKET, Key="half", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    for key, body in (kept | {"half": half}).items():
        assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body


def test_nobody_reaches_s3_while_orphans_are_removed(store: ObjectStore) -> None:
    port = int(store.endpoint.rpartition(":")[2])
    killed_after_delete(store)
    assert orphans.begin(store.directory)
    store.launch(s3=False)
    store.wait()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass
    assert not store.control.exists()
    assert "safelight" in store.shell("fs.ls /buckets\n")


def test_an_orderly_stop_marks_what_was_deleted(store: ObjectStore) -> None:
    secret = canary()
    client = store.client()
    client.put_object(Bucket=BUCKET, Key="gone", Body=secret + os.urandom(40_000))
    client.delete_object(Bucket=BUCKET, Key="gone")
    orphans.stop(store)
    assert not orphans.begin(store.directory)
    store.start()
    compact(store)
    assert files_with(store.directory, secret) == []


def test_a_store_that_lost_objects_keeps_their_bytes(store: ObjectStore, postgres: Postgres) -> None:
    """The filer's last entries are lost, the volume's bytes are not; other objects outnumber the rows."""
    url = postgres.create("lost-objects")
    client = store.client()
    for number in range(5):
        client.put_object(Bucket=BUCKET, Key=f"incoming/{number}", Body=os.urandom(20_000))
    client.put_object(Bucket=BUCKET, Key="originals/g/old", Body=os.urandom(20_000))
    store.kill()
    shutil.copytree(store.data / "filerldb2", store.directory / "older")
    store.start()
    secret = canary()
    store.client().put_object(Bucket=BUCKET, Key="originals/g/new", Body=secret + os.urandom(20_000))
    store.kill()
    shutil.rmtree(store.data / "filerldb2")
    (store.directory / "older").rename(store.data / "filerldb2")
    connection = connect(url)
    connection.run("CREATE TABLE photos (id int, s3_key text, status text, deleted_at text, damaged_at text)")
    connection.run("CREATE TABLE renditions (photo_id int, s3_key text)")
    connection.run("INSERT INTO photos VALUES (1, 'originals/g/old', 'ready'), (2, 'originals/g/new', 'ready')")

    (said,) = purged(store, url)
    assert "lost 1 objects" in said
    assert "originals/g/new" in said
    orphans.stop(store)
    assert files_with(store.directory, secret)
    assert orphans.begin(store.directory), "an orderly stop does not make up for a purge that failed"

    connection.run("UPDATE photos SET damaged_at = 'now' WHERE id = 2")
    connection.close()
    assert purged(store, url) == ["  1 pieces of deleted objects removed from the object store"]


def test_a_purge_that_was_cut_off_is_owed(store: ObjectStore) -> None:
    killed_after_delete(store)
    assert orphans.begin(store.directory)
    store.launch(s3=False)
    store.wait()
    orphans.stop(store)
    assert orphans.begin(store.directory)


def test_a_database_that_does_not_answer_puts_the_purge_off(store: ObjectStore) -> None:
    secret = killed_after_delete(store)
    (said,) = purged(store, "postgresql://nobody:x@127.0.0.1:9/none")
    assert "The next start tries again" in said
    assert files_with(store.directory, secret)


def test_a_new_store_has_nothing_to_purge(tmp_path: Path) -> None:
    assert not orphans.begin(tmp_path / "not-there-yet")


def test_the_sweep_and_the_start_mean_the_same_file() -> None:
    assert orphans.SUSPECTED == compaction.ORPHANS


def test_a_start_whose_port_is_taken_owes_no_purge(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        folder = home.directory / "objects"
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "1.dat").touch()
        (folder / orphans.CLEAN).touch()
        closing.finish(home)
        environment = {"DATABASE_URL": "postgresql://unused", "S3_PORT": str(taken.getsockname()[1])}
        supervisor = Supervisor(home, environment, free_ports(1)[0], say=lambda _: None)
        try:
            with pytest.raises(StartError, match="is used by another program"):
                supervisor.start()
        finally:
            supervisor.stop()
    assert (folder / orphans.CLEAN).exists()
    assert not orphans.begin(folder)
