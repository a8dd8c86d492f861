"""An erasure on the embedded store is finished only when none of its bytes are in the volumes, also after a kill."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest

from local import orphans
from local.objectstore import ObjectStore
from local.postgres import Postgres
from safelight import storage as stores
from safelight import sweep as steps
from safelight.config import settings
from safelight.db import driver
from safelight.errors import StorageUnavailable
from safelight.queue import Queue
from safelight.storage import compaction, seaweedfs, storage
from safelight.storage.compaction import BytesRemain, SeaweedCompactor, Unneeded
from safelight.sweep import Swept, sweep
from tests import api as front
from tests import product
from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import in_parallel, sql
from tests.volumes import canary, files_with, with_comment


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store that a test may kill, started as the supervisor starts it."""
    store = ObjectStore(tmp_path_factory.mktemp("own") / "objects", "TESTKEY", uuid.uuid4().hex)
    orphans.begin(store.directory)
    with store:
        yield store


@pytest.fixture
def anna(
    own_store: ObjectStore, postgres: Postgres, template_database: str, api_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Photographer]:
    """A photographer of a product that runs on that store and is told of its folder."""
    with product.fresh(postgres, template_database, own_store):
        monkeypatch.setenv("SEAWEEDFS_CONTROL", str(own_store.directory))
        product.forget()
        yield Photographer.registered()
        while front.opened:
            front.opened.pop().close()
        api_server.forget()


def planted(anna: Photographer) -> tuple[str, str, bytes]:
    """A gallery, its photo that is ready, and bytes that only this photo's file holds."""
    secret = canary()
    gallery = anna.gallery()["id"]
    photo = anna.upload(gallery, with_comment(jpeg(640, 480), secret))
    run_jobs()
    assert anna.photo(photo)["status"] == "ready"
    return gallery, photo, secret


def erased(anna: Photographer, gallery: str) -> str:
    """Delete the gallery; the address of the report."""
    answer = anna.call("DELETE", f"/galleries/{gallery}")
    assert answer.status_code == 204
    return answer.headers["location"]


def finished(report: str) -> bool:
    return client().get(report).json()["finished_at"] is not None


def swept() -> Swept:
    return sweep(storage(), Queue())


def restarted(store: ObjectStore) -> None:
    """Start a killed store as the supervisor does."""
    assert orphans.begin(store.directory)
    store.launch(s3=False)
    orphans.purge(store, settings().database_url.get_secret_value(), print)
    store.start()


class Dying:
    """The product's store; its process is killed as soon as it has acknowledged that originals are deleted."""

    def __init__(self, server: ObjectStore) -> None:
        self.server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(storage(), name)

    def delete(self, keys: Iterable[str]) -> None:
        wanted = list(keys)
        storage().delete(wanted)
        if any(key.startswith("originals/") for key in wanted):
            self.server.kill()


def test_no_volume_holds_a_byte_of_a_finished_erasure(anna: Photographer, own_store: ObjectStore) -> None:
    kept, other, stays = planted(anna)
    gallery, _, secret = planted(anna)
    assert files_with(own_store.directory, secret)
    report = erased(anna, gallery)
    assert swept().erasures == 1
    assert finished(report)
    assert files_with(own_store.directory, secret) == []
    assert files_with(own_store.directory, stays)
    original = anna.call("GET", f"/photos/{other}/renditions/original").headers["location"]
    assert stays in client().get(original).content
    assert anna.call("GET", f"/galleries/{kept}").status_code == 200


def test_what_was_deleted_right_before_a_kill_of_the_store_is_gone_too(
    anna: Photographer, own_store: ObjectStore
) -> None:
    gallery, _, secret = planted(anna)
    _, other, stays = planted(anna)
    report = erased(anna, gallery)
    with pytest.raises(StorageUnavailable):
        sweep(cast("Any", Dying(own_store)), Queue())
    assert not finished(report)
    restarted(own_store)
    assert swept().erasures == 1
    assert finished(report)
    assert files_with(own_store.directory, secret) == []
    original = anna.call("GET", f"/photos/{other}/renditions/original").headers["location"]
    assert stays in client().get(original).content


@pytest.mark.long
def test_without_the_purge_the_erasure_stays_open_and_the_log_says_what_to_do(
    anna: Photographer, own_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gallery, _, secret = planted(anna)
    report = erased(anna, gallery)
    with pytest.raises(StorageUnavailable):
        sweep(cast("Any", Dying(own_store)), Queue())
    own_store.start()  # without the purge
    monkeypatch.setattr(compaction, "_ATTEMPTS", 2)
    with caplog.at_level(logging.ERROR), pytest.raises(BytesRemain):
        swept()
    assert not finished(report)
    assert files_with(own_store.directory, secret)
    (told,) = [record for record in caplog.records if record.message == "deleted bytes remain"]
    assert "restart Safelight" in told.__dict__["reason"]
    orphans.stop(own_store)
    restarted(own_store)  # although that stop was an orderly one
    assert swept().erasures == 1
    assert finished(report)
    assert files_with(own_store.directory, secret) == []


def test_the_start_knows_which_objects_are_in_use(anna: Photographer) -> None:
    gallery, gone, _ = planted(anna)
    planted(anna)
    url = settings().database_url.get_secret_value()
    objects = {key for key in storage().keys("") if key.startswith(("originals/", "renditions/"))}
    assert orphans._objects_in_use(url) == objects
    assert len(objects) > 2
    assert anna.call("DELETE", f"/photos/{gone}").status_code == 204
    assert orphans._objects_in_use(url) == {key for key in objects if gone not in key}
    assert anna.call("DELETE", f"/galleries/{gallery}").status_code == 204


def test_a_sweep_that_dies_before_the_compaction_leaves_it_to_the_next(
    anna: Photographer, own_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, photo, secret = planted(anna)
    report = erased(anna, gallery)

    def die(_self: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(SeaweedCompactor, "run", die)
        with pytest.raises(SystemExit):
            swept()
    assert sql("SELECT 1 FROM photos WHERE id = cast(:id AS uuid)", id=photo) == []
    assert not finished(report)
    assert swept().erasures == 1
    assert finished(report)
    assert files_with(own_store.directory, secret) == []


def test_a_store_that_is_away_holds_up_no_other_step(anna: Photographer, own_store: ObjectStore) -> None:
    gallery, _, secret = planted(anna)
    share = anna.share(anna.gallery()["id"])["share_id"]
    client().get(f"/s/{share}")
    report = erased(anna, gallery)
    control = own_store.control.read_text()
    own_store.control.unlink()  # as while the store starts
    try:
        with pytest.raises(StorageUnavailable):
            swept()
        assert sql("SELECT views FROM share_links") == [(1,)]
        assert not finished(report)
        # An address at which nobody answers any more.
        stale = json.loads(control) | {"shell": ["/bin/false"], "master": "https://127.0.0.1:9"}
        own_store.control.write_text(json.dumps(stale))
        with pytest.raises(BytesRemain, match=r"volume\.fsck"):
            swept()
        assert not finished(report)
    finally:
        own_store.control.write_text(control)
    assert swept().erasures == 1
    assert files_with(own_store.directory, secret) == []


def test_one_compaction_serves_all_erasures_of_a_sweep_and_none_runs_without_one(
    anna: Photographer, own_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[object] = []
    run = SeaweedCompactor.run

    def counted(self: SeaweedCompactor) -> None:
        runs.append(self)
        run(self)

    monkeypatch.setattr(SeaweedCompactor, "run", counted)
    first, second = planted(anna), planted(anna)
    assert swept().erasures == 0
    assert len(runs) == 0
    reports = [erased(anna, gallery) for gallery, _, _ in (first, second)]
    assert swept().erasures == 2
    assert len(runs) == 1
    assert all(map(finished, reports))
    assert [files_with(own_store.directory, secret) for _, _, secret in (first, second)] == [[], []]
    assert swept().erasures == 0
    assert len(runs) == 1


def test_what_is_deleted_during_a_compaction_waits_for_the_next(
    anna: Photographer, own_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, _, _), (second, _, secret) = planted(anna), planted(anna)
    early = erased(anna, first)
    late: list[str] = []
    run = SeaweedCompactor.run

    def run_then_delete(self: SeaweedCompactor) -> None:
        run(self)
        monkeypatch.setattr(SeaweedCompactor, "run", run)
        late.append(erased(anna, second))
        steps._erase(storage(), Queue(), Swept())  # as another sweep at the same time, which has come this far

    monkeypatch.setattr(SeaweedCompactor, "run", run_then_delete)
    assert swept().erasures == 1
    assert (finished(early), finished(late[0])) == (True, False)
    assert files_with(own_store.directory, secret)
    assert swept().erasures == 1
    assert finished(late[0])
    assert files_with(own_store.directory, secret) == []


def test_two_sweeps_at_once_finish_each_erasure_once_and_leave_no_byte(
    anna: Photographer, own_store: ObjectStore
) -> None:
    galleries = [planted(anna) for _ in range(3)]
    reports = [erased(anna, gallery) for gallery, _, _ in galleries]
    done = in_parallel(2, lambda _: swept().erasures, threads=2)
    assert sum(done) == 3
    assert all(map(finished, reports))
    assert [files_with(own_store.directory, secret) for _, _, secret in galleries] == [[], [], []]


def test_a_compaction_that_another_is_in_the_way_of_is_repeated(
    anna: Photographer, own_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store answers 200 to a second compaction at the same time and does nothing."""
    gallery, _, secret = planted(anna)
    report = erased(anna, gallery)
    calls: list[float] = []
    compact = seaweedfs.Control.compact

    def nothing_at_first(self: seaweedfs.Control) -> None:
        calls.append(time.monotonic())
        if len(calls) > 1:
            compact(self)

    monkeypatch.setattr(seaweedfs.Control, "compact", nothing_at_first)
    assert swept().erasures == 1
    assert len(calls) == 2
    assert finished(report)
    assert files_with(own_store.directory, secret) == []


def test_compactions_in_vain_leave_the_erasure_open(
    anna: Photographer, own_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a full disk: the store has no room for the copy and says nothing."""
    gallery, _, secret = planted(anna)
    report = erased(anna, gallery)
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_ATTEMPTS", 2)
        patch.setattr(seaweedfs.Control, "compact", lambda _self: None)
        with pytest.raises(BytesRemain):
            swept()
    (told,) = [record for record in caplog.records if record.message == "deleted bytes remain"]
    assert "free disk space" in told.__dict__["reason"]
    assert not finished(report)
    assert files_with(own_store.directory, secret)
    assert swept().erasures == 1
    assert files_with(own_store.directory, secret) == []


def test_a_volume_that_became_read_only_is_compacted_by_name(anna: Photographer, own_store: ObjectStore) -> None:
    gallery, photo, secret = planted(anna)
    control = seaweedfs.Control.read(own_store.directory)
    storage().delete([key for key in storage().keys("") if photo in key])
    time.sleep(2.5)  # the mark must reach the volume first: none can be set in a read-only one
    mark = f"lock\nvolume.mark -collection {settings().bucket} -{{}}\nunlock"
    own_store.shell(mark.format("readonly"))
    assert any(volume.read_only and volume.deleted for volume in control.volumes().values())
    report = erased(anna, gallery)
    try:
        SeaweedCompactor(own_store.directory).run()
        assert files_with(own_store.directory, secret) == []
    finally:
        own_store.shell(mark.format("writable"))
    assert swept().erasures == 1
    assert finished(report)


def test_erasures_finish_while_others_upload_and_delete(anna: Photographer, own_store: ObjectStore) -> None:
    over = threading.Event()
    lost: list[str] = []

    def use() -> None:
        others, number = own_store.client(), 0
        own_store.create_bucket("others")
        while not over.is_set():
            key, body = str(number), os.urandom(50_000)
            others.put_object(Bucket="others", Key=key, Body=body)
            if others.get_object(Bucket="others", Key=key)["Body"].read() != body:
                lost.append(key)
            if number % 2:
                others.delete_object(Bucket="others", Key=key)
            number += 1
            over.wait(0.02)  # the erasure needs the processor, too

    using = threading.Thread(target=use)
    using.start()
    try:
        gallery, _, secret = planted(anna)
        report = erased(anna, gallery)
        swept()
        assert finished(report)
        assert files_with(own_store.directory, secret) == []
    finally:
        over.set()
        using.join()
    assert lost == []


def test_a_deletion_is_on_the_disk_before_its_row_is_forgotten(
    anna: Photographer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, photo, _ = planted(anna)
    left: list[tuple[int, int]] = []

    def sync() -> None:
        objects = len([key for key in storage().keys("originals/") if photo in key])
        with driver.connection() as connection:
            left.append((objects, connection.run("SELECT count(*) FROM photos")[0][0]))

    monkeypatch.setattr(os, "sync", sync)
    stores.storage.cache_clear()
    report = erased(anna, gallery)
    swept()
    assert finished(report)
    assert (0, 1) in left


def test_no_live_row_names_an_erased_account(anna: Photographer) -> None:
    word = f"canary{uuid.uuid4().hex}"
    for changed in ({"email": f"{word}@example.com"}, {"username": word}):
        answer = anna.call("PATCH", "/auth/me", json=changed)
        assert answer.status_code == 200, answer.text
    gallery = anna.gallery(title=f"Wedding {word}", description=word)["id"]
    photo = anna.upload(gallery, filename=f"{word}.jpg", title=word, description=word, tags=[word])
    run_jobs()
    share = anna.share(gallery, label=word, slug=word[:40])["share_id"]
    visitor = client()
    assert visitor.put(f"/s/{share}/favourites/{photo}").status_code in (200, 204)
    assert visitor.post(f"/s/{share}/selection", json={"name": word, "note": word}).status_code == 200
    assert {"users", "galleries", "photos", "share_links", "selections"} <= tables_with(word)
    report = anna.call("DELETE", "/auth/me").headers["location"]
    for _ in range(3):
        swept()
    assert finished(report)
    assert tables_with(word) == set()


def tables_with(word: str) -> set[str]:
    """Tables of every schema with a row that contains the word, in a column of any type."""
    columns = sql(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    return {
        table
        for schema, table, column in columns
        if sql(f'SELECT 1 FROM "{schema}"."{table}" WHERE "{column}"::text ILIKE :word LIMIT 1', word=f"%{word}%")
    }


def test_a_store_without_a_folder_is_left_to_itself(monkeypatch: pytest.MonkeyPatch, bucket_settings: Any) -> None:
    """S3 and MinIO; tests/functions/test_erasures.py runs all of the sweep so."""
    assert bucket_settings.seaweedfs_control is None
    compactor = stores.compactor()
    assert isinstance(compactor, Unneeded)
    compactor.run()
    monkeypatch.setattr(os, "sync", lambda: pytest.fail("nothing to settle"))
    storage().write("incoming/x", b"x", "image/jpeg")
    storage().delete(["incoming/x"])
