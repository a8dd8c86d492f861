"""What an account may store: exact in races, given back when photos go or their forms have run out, and never lost."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy.orm import Session

from functions.process_photo.app import handler
from safelight import sweep
from safelight.photos import processing, queries
from safelight.quotas import service as quotas
from safelight.quotas.service import PUBLIC_BYTES, PUBLIC_PHOTOS, human
from safelight.storage import storage
from tests import product
from tests.api import Photographer, jpeg, post_form, run_jobs, sqs_event
from tests.functions.access import administrator
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


@pytest.fixture(scope="module")
def boss(shared_api: str) -> Photographer:
    assert shared_api
    return administrator()


def me(who: Photographer) -> dict[str, Any]:
    shown: dict[str, Any] = who.call("GET", "/auth/me").json()
    return shown


def used(who: Photographer) -> tuple[int, int]:
    quota = me(who)["quota"]
    return quota["photos_used"], quota["bytes_used"]


def stored(who: Photographer) -> tuple[int, int]:
    """What the rows say."""
    [(photos, size)] = sql(
        "SELECT count(*), coalesce(sum(file_size), 0)::bigint FROM photos p JOIN galleries g ON g.id = p.gallery_id"
        " JOIN users u ON u.id = g.owner_id WHERE u.email = :email AND p.counted",
        email=who.email,
    )
    return photos, size


def limit(boss: Photographer, who: Photographer, **quota: int | None) -> dict[str, Any]:
    answer = boss.call("PATCH", f"/admin/users/{me(who)['id']}", json=quota)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def announce(who: Photographer, gallery: str, size: int = 1000) -> httpx.Response:
    body = {"filename": "rings.jpg", "content_type": "image/jpeg", "file_size": size}
    return who.call("POST", f"/galleries/{gallery}/photos", json=body)


def batch(who: Photographer, gallery: str, *photos: dict[str, Any]) -> list[dict[str, Any]]:
    usual = {"filename": "rings.jpg", "content_type": "image/jpeg", "file_size": 1000}
    answer = who.call("POST", f"/galleries/{gallery}/photos/batch", json={"photos": [usual | one for one in photos]})
    assert answer.status_code == 201, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_the_account_shows_what_it_stores_and_may_store(boss: Photographer) -> None:
    anna = Photographer.registered()
    nothing = {"bytes_used": 0, "bytes_allowed": None, "photos_used": 0, "photos_allowed": None}
    assert me(anna)["quota"] == nothing
    announce(anna, anna.gallery()["id"], 700)
    changed = limit(boss, anna, quota_bytes=5000, quota_photos=3)
    allowed = {"bytes_used": 700, "bytes_allowed": 5000, "photos_used": 1, "photos_allowed": 3}
    assert (changed["quota_bytes"], changed["quota_photos"], changed["quota"]) == (5000, 3, allowed)
    assert me(anna)["quota"] == allowed
    assert anna.call("PATCH", "/auth/me", json={"settings": {"a": 1}}).json()["quota"] == allowed
    listed = boss.call("GET", "/admin/users?limit=200").json()["items"]
    assert [one["quota"] for one in listed if one["email"] == anna.email] == [allowed]
    # What is not given stays; null is the default again.
    assert limit(boss, anna, quota_photos=None)["quota"] == allowed | {"photos_allowed": None}
    assert limit(boss, anna, quota_bytes=0)["quota"]["bytes_allowed"] is None
    for bad in ({"quota_bytes": -1}, {"quota_photos": "many"}, {"quota_bytes": 2**60}, {"quota_photos": 1.5}):
        problem(boss.call("PATCH", f"/admin/users/{me(anna)['id']}", json=bad), 422, "invalid")
    problem(anna.call("PATCH", f"/admin/users/{me(anna)['id']}", json={"quota_bytes": 0}), 403, "forbidden")


def test_what_does_not_fit_is_refused_with_a_sentence_and_writes_nothing(boss: Photographer) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    limit(boss, anna, quota_bytes=3 * 2**20, quota_photos=2)
    assert announce(anna, gallery, 2 * 2**20).status_code == 201
    told = problem(announce(anna, gallery, 2**20 + 1), 413, "quota_bytes")["detail"]
    assert told == (
        "“rings.jpg” has 1,048,577 bytes, but the account has room for 1,048,576 bytes more (of 3.0 MiB)."
        " Delete photos, or ask who runs this service for more room."
    )
    assert announce(anna, gallery, 2**20).status_code == 201
    told = problem(announce(anna, gallery, 1), 409, "quota_photos")["detail"]
    assert told.startswith("The account holds 2 of the 2 photos that it may hold.")
    assert used(anna) == stored(anna) == (2, 3 * 2**20)
    ben = Photographer.registered()
    assert announce(ben, ben.gallery()["id"]).status_code == 201


@pytest.mark.parametrize(
    ("quota", "stored", "size", "words"),
    [
        (36_966, 36_961, 6, "has 6 bytes, but the account has room for 5 bytes more (of 36.1 KiB)."),
        (36_966, 36_965, 2**20, "has 1.0 MiB, but the account has room for 1 byte more (of 36.1 KiB)."),
        (36_966, 36_966, 1, "has 1 byte, but the account has room for 0 bytes more (of 36.1 KiB)."),
        # The quota was lowered.
        (1000, 36_966, 1, "has 1 byte, but the account has room for 0 bytes more (of 1000 bytes)."),
    ],
)
def test_a_refusal_says_how_much_room_is_left(
    boss: Photographer, quota: int, stored: int, size: int, words: str
) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    assert announce(anna, gallery, stored).status_code == 201
    limit(boss, anna, quota_bytes=quota)
    assert words in problem(announce(anna, gallery, size), 413, "quota_bytes")["detail"]


def test_in_a_batch_what_fits_is_taken_in_the_order_given(boss: Photographer) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    limit(boss, anna, quota_bytes=2500)
    items = batch(anna, gallery, {}, {"file_size": 1600}, {}, {"file_size": 501}, {"file_size": 500}, {"file_size": 1})
    codes = [item["problem"]["code"] if "problem" in item else None for item in items]
    assert codes == [None, "quota_bytes", None, "quota_bytes", None, "quota_bytes"]
    assert items[1]["problem"]["status"] == 413
    assert all(item.keys() == {"problem"} or item.keys() == {"photo", "upload"} for item in items)
    assert used(anna) == stored(anna) == (3, 2500)


def test_the_same_key_again_is_the_same_photo_counted_once() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    data = jpeg()
    sent = {"file_size": len(data), "crc32": "AAAAAA==", "key": "IMG_1"}
    first, twin, other = batch(anna, gallery, sent, sent, {"key": "IMG_2"})
    assert first["photo"] == twin["photo"]
    [again] = batch(anna, gallery, sent)
    assert again["photo"] == first["photo"]
    assert again["upload"]["fields"]["x-amz-checksum-crc32"] == "AAAAAA=="
    assert used(anna) == stored(anna) == (2, len(data) + 1000)
    for changed in ({"file_size": len(data) + 1}, {"content_type": "image/png"}):
        assert batch(anna, gallery, sent | changed)[0]["problem"]["code"] == "key_taken"
    elsewhere = anna.gallery()["id"]
    assert batch(anna, elsewhere, sent)[0]["photo"]["id"] != first["photo"]["id"]
    # What has arrived needs no form; what failed or was deleted is no longer in the way.
    anna.call("DELETE", f"/photos/{other['photo']['id']}")
    sql("UPDATE photos SET status = 'processing' WHERE id = :id", id=first["photo"]["id"])
    arrived, new = batch(anna, gallery, sent, {"key": "IMG_2"})
    assert (arrived["photo"]["id"], arrived["upload"]) == (first["photo"]["id"], None)
    assert new["photo"]["id"] != other["photo"]["id"]
    assert used(anna) == stored(anna)


def test_many_announce_the_same_keys_at_once() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    keys = [{"key": f"IMG_{n}"} for n in range(10)]

    def shuffled(seed: int) -> set[str]:
        mine = keys.copy()
        random.Random(seed).shuffle(mine)
        return {item["photo"]["id"] for item in batch(anna, gallery, *mine)}

    assert len(set[str]().union(*in_parallel(40, shuffled))) == 10
    assert used(anna) == stored(anna) == (10, 10_000)


def test_two_hundred_parallel_requests_take_exactly_what_there_is(boss: Photographer) -> None:
    anna, ben, cleo = (Photographer.registered() for _ in range(3))
    galleries = {who.email: who.gallery()["id"] for who in (anna, ben, cleo)}
    limit(boss, anna, quota_photos=40)
    limit(boss, ben, quota_bytes=33_500)

    def one(number: int) -> tuple[str, int]:
        who = (anna, ben, cleo)[0 if number % 4 < 2 else number % 4 - 1]
        return who.email, announce(who, galleries[who.email]).status_code

    answers = Counter(in_parallel(400, one))
    assert answers == {
        (anna.email, 201): 40, (anna.email, 409): 160,
        (ben.email, 201): 33, (ben.email, 413): 67,
        (cleo.email, 201): 100,
    }  # fmt: skip
    assert [used(who) for who in (anna, ben, cleo)] == [(40, 40_000), (33, 33_000), (100, 100_000)]
    assert [stored(who) for who in (anna, ben, cleo)] == [(40, 40_000), (33, 33_000), (100, 100_000)]


def test_the_bucket_takes_no_more_than_was_counted() -> None:
    anna = Photographer.registered()
    data = jpeg()
    made = anna.announce(anna.gallery()["id"], data[:-1])
    assert post_form(made["upload"], data).status_code >= 400
    assert storage().head(f"incoming/{made['photo']['id']}") is None


def failed_ago(photo_id: str, minutes: int) -> None:
    """As if the photo had been announced and had failed that long ago."""
    sql(
        "UPDATE photos SET created_at = now() - make_interval(mins => :minutes),"
        " updated_at = now() - make_interval(mins => :minutes) WHERE id = :id",
        id=photo_id,
        minutes=minutes,
    )


def test_what_fails_expires_or_is_erased_gives_its_room_back(boss: Photographer) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    limit(boss, anna, quota_photos=4)
    data = jpeg()
    good = anna.upload(gallery, data)
    bad = anna.upload(gallery, b"no picture")
    lost = anna.announce(gallery, data)["photo"]["id"]
    run_jobs()
    assert [anna.photo(one)["status"] for one in (good, bad, lost)] == ["ready", "failed", "pending"]
    assert used(anna) == stored(anna) == (3, 2 * len(data) + 10)
    failed_ago(lost, 120)
    assert sweep.run().expired == 1
    assert used(anna) == stored(anna) == (3, 2 * len(data) + 10)  # both failed just now
    failed_ago(bad, 21)
    failed_ago(lost, 21)
    assert sweep.run().released == 2
    assert used(anna) == stored(anna) == (1, len(data))
    anna.call("DELETE", f"/photos/{good}")
    assert used(anna) == (1, len(data))  # its bytes are still in the bucket
    sweep.run()
    assert used(anna) == stored(anna) == (0, 0)


def test_rounds_of_failing_uploads_bring_no_more_into_the_bucket_than_the_quota(boss: Photographer) -> None:
    """Each failed photo is uploaded once more by its form, which is still good."""
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    limit(boss, anna, quota_bytes=50)
    answers = []
    mine = []
    for _ in range(12):
        answers.append(announce(anna, gallery, 10))
        if answers[-1].status_code == 201:
            made = answers[-1].json()
            mine.append(made["photo"]["id"])
            assert post_form(made["upload"], b"no picture").status_code == 204
            anna.call("POST", f"/photos/{mine[-1]}/complete")
            run_jobs()
            assert anna.photo(mine[-1])["status"] == "failed"
            assert post_form(made["upload"], b"no picture").status_code == 204
    assert [answer.status_code for answer in answers] == [201] * 5 + [413] * 7
    assert sum(storage().head(f"incoming/{photo_id}") is not None for photo_id in mine) == 5
    sweep.run()  # their forms are still good: a sweep gives no room back
    assert [storage().head(f"incoming/{photo_id}") for photo_id in mine] == [None] * 5
    problem(announce(anna, gallery, 10), 413, "quota_bytes")
    for photo_id in mine:
        failed_ago(photo_id, 21)
    assert sweep.run().released == 5
    assert used(anna) == stored(anna) == (0, 0)
    assert announce(anna, gallery, 10).status_code == 201


def test_a_form_that_was_made_again_late_keeps_its_room_after_the_photo_expired() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    [first] = batch(anna, gallery, {"key": "IMG_1"})
    sql("UPDATE photos SET created_at = now() - interval '59 minutes' WHERE id = :id", id=first["photo"]["id"])
    [again] = batch(anna, gallery, {"key": "IMG_1"})
    assert again["upload"]
    failed_ago(first["photo"]["id"], 61)
    swept = sweep.run()
    assert (swept.expired, swept.released) == (1, 0)
    assert used(anna) == stored(anna) == (1, 1000)


def test_no_room_is_given_back_while_files_could_not_leave_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    photo_id = anna.upload(anna.gallery()["id"], b"no picture")
    run_jobs()
    failed_ago(photo_id, 21)

    def away(*_: object) -> int:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("safelight.leftovers.erase", away)
        with pytest.raises(ConnectionError):
            sweep.run()
    assert used(anna) == stored(anna) == (1, 10)
    assert sweep.run().released == 1
    assert used(anna) == stored(anna) == (0, 0)


def test_failed_photos_are_given_back_in_batches_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    for who in (anna, ben):
        for item in batch(who, who.gallery()["id"], *[{}] * 5):
            sql("UPDATE photos SET status = 'failed' WHERE id = :id", id=item["photo"]["id"])
            failed_ago(item["photo"]["id"], 21)
    monkeypatch.setattr(sweep, "BATCH", 3)
    before = sweep.run()
    assert before.released == 10
    assert [used(anna), used(ben)] == [stored(anna), stored(ben)] == [(0, 0), (0, 0)]
    assert sweep.run().released == 0


def test_a_failed_photo_that_was_given_back_and_is_erased_counts_once() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    anna.announce(gallery, jpeg())
    photo_id = anna.upload(gallery)
    sql("UPDATE jobs SET attempts = max_attempts WHERE subject_id = :id", id=photo_id)
    run_jobs()
    assert anna.photo(photo_id)["failure_reason"] == processing.GAVE_UP
    failed_ago(photo_id, 21)
    sweep.run()
    assert used(anna) == stored(anna) == (1, len(jpeg()))
    anna.call("DELETE", f"/photos/{photo_id}")
    sweep.run()
    assert used(anna) == stored(anna) == (1, len(jpeg()))


def test_a_closed_account_leaves_no_counter() -> None:
    anna = Photographer.registered()
    anna.upload(anna.gallery()["id"])
    run_jobs()
    user_id = me(anna)["id"]
    assert anna.call("DELETE", "/auth/me").status_code == 204
    sweep.run()
    sweep.run()
    assert sql("SELECT count(*) FROM users WHERE id = :id", id=user_id) == [(0,)]
    assert sql("SELECT count(*) FROM storage_usage WHERE user_id = :id", id=user_id) == [(0,)]


def test_a_counter_that_drifted_is_corrected_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    announce(anna, anna.gallery()["id"], 700)
    announce(ben, ben.gallery()["id"], 800)
    ids = [me(who)["id"] for who in (anna, ben)]
    sql("UPDATE storage_usage SET checked_at = now()")
    sql("UPDATE storage_usage SET bytes = 1, photos = 9 WHERE user_id = :id", id=ids[0])
    assert sweep.run().corrected == 0
    sql("UPDATE storage_usage SET checked_at = now() - interval '25 hours' WHERE user_id = ANY(:ids)", ids=ids)
    assert sweep.run().corrected == 1
    assert [used(anna), used(ben)] == [(1, 700), (1, 800)]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["storage counter was wrong"]
    assert sweep.run().corrected == 0


def test_an_account_is_closed_and_swept_while_it_announces_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The announcement holds the counter, and the sweep would erase its gallery and its account."""
    anna = Photographer.registered()
    gallery, user_id = anna.gallery()["id"], me(anna)["id"]
    held, swept = threading.Event(), threading.Event()
    real = quotas.hold

    def slowly(*arguments: Any) -> Any:
        room = real(*arguments)
        held.set()
        swept.wait(5)
        return room

    monkeypatch.setattr(quotas, "hold", slowly)
    with ThreadPoolExecutor(2) as threads:
        answer = threads.submit(announce, anna, gallery)
        assert held.wait(30)
        sql("UPDATE galleries SET deleted_at = now() WHERE id = :id", id=gallery)
        sql("UPDATE users SET deleted_at = now() WHERE id = :id", id=user_id)
        sweeping = threads.submit(sweep.run)
        sweeping.add_done_callback(lambda _: swept.set())
        assert answer.result().status_code == 201
        sweeping.result()
    assert used_by(user_id) == [(1, 1000)]
    sweep.run()
    assert used_by(user_id) == []
    assert sql("SELECT 1 FROM photos WHERE gallery_id = :id", id=gallery) == []


def used_by(user_id: str) -> list[tuple[Any, ...]]:
    return sql("SELECT photos, bytes FROM storage_usage WHERE user_id = :id", id=user_id)


def test_an_upload_for_a_gallery_that_is_deleted_before_it_is_counted_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    real = queries.keep_gallery

    def late(session: Session, gallery_id: uuid.UUID) -> bool:
        sql("DELETE FROM galleries WHERE id = :id", id=gallery)
        return real(session, gallery_id)

    monkeypatch.setattr(queries, "keep_gallery", late)
    problem(announce(anna, gallery), 404, "not_found")
    assert used(anna) == (0, 0)


class Busy:
    """People who do everything that changes what accounts store; some of them close their accounts."""

    def __init__(self, boss: Photographer) -> None:
        self.staying = [Photographer.registered() for _ in range(4)]
        self.leaving = [Photographer.registered() for _ in range(6)]
        for who in self.staying:
            limit(boss, who, quota_photos=30, quota_bytes=60_000)
        self.galleries = [(who, who.gallery()["id"]) for who in self.staying + self.leaving for _ in range(2)]
        self.photos: list[tuple[Photographer, str]] = []

    def act(self, number: int) -> None:
        """One random thing."""
        chance = random.Random(number)
        actions: list[Callable[[random.Random], None]] = [self.work, self.delete_gallery, self.analyse, self.sweep]
        actions += [
            *[self.announce] * 4,
            *[self.delete] * 2,
            *[self.fail] * 2,
            self.sweep if number % 2 else self.leave,
        ]
        chance.choice(actions)(chance)

    def announce(self, chance: random.Random) -> None:
        who, gallery = chance.choice(self.galleries)
        many = [sized(chance.randrange(1, 4000)) for _ in range(chance.randrange(1, 6))]
        answer = who.call("POST", f"/galleries/{gallery}/photos/batch", json={"photos": many})
        assert answer.status_code in (201, 401, 404), answer.text
        items = answer.json().get("items", [])
        self.photos.extend((who, item["photo"]["id"]) for item in items if "photo" in item)

    def delete(self, chance: random.Random) -> None:
        for who, photo in self.photos and [chance.choice(self.photos)]:
            assert who.call("DELETE", f"/photos/{photo}").status_code in (204, 401, 404)

    def fail(self, chance: random.Random) -> None:
        for who, photo in self.photos and [chance.choice(self.photos)]:
            storage().write(f"incoming/{photo}", b"no picture", "image/jpeg")
            assert who.call("POST", f"/photos/{photo}/complete").status_code in (200, 401, 404)

    def work(self, _: random.Random) -> None:
        assert handler(sqs_event(f"jobs/process_photo/{uuid.uuid4()}"), None) == {"batchItemFailures": []}

    def delete_gallery(self, chance: random.Random) -> None:
        who, gallery = chance.choice(self.galleries)
        assert who.call("DELETE", f"/galleries/{gallery}").status_code in (204, 401, 404)
        if who in self.staying:
            self.galleries.append((who, who.gallery()["id"]))

    def analyse(self, chance: random.Random) -> None:
        who, _ = chance.choice(self.galleries)
        assert who.call("POST", "/analyses", json=sized(1000)).status_code in (201, 401)

    def leave(self, chance: random.Random) -> None:
        assert chance.choice(self.leaving).call("DELETE", "/auth/me").status_code in (204, 401)

    def sweep(self, _: random.Random) -> None:
        sql("UPDATE photos SET updated_at = now() - interval '21 minutes' WHERE status = 'failed'")
        sweep.run()


def test_uploads_failures_deletions_and_sweeps_at_once_end_with_equal_counts(boss: Photographer) -> None:
    """Random and parallel; transactions that would wait for each other would be ended by Postgres, with a 500 here."""
    busy = Busy(boss)
    in_parallel(200, busy.act, threads=8)
    run_jobs()
    for _ in range(2):
        sweep.run()
    assert [used(who) for who in busy.staying] == [stored(who) for who in busy.staying]
    assert all(photos <= 30 and size <= 60_000 for photos, size in map(used, busy.staying))
    # Of those who left some are gone, and the counters of the others are right.
    assert sql(
        "SELECT s.user_id FROM storage_usage s WHERE (s.photos, s.bytes) <>"
        " (SELECT count(*), coalesce(sum(p.file_size), 0) FROM photos p JOIN galleries g ON g.id = p.gallery_id"
        "  WHERE g.owner_id = s.user_id AND p.counted)"
    ) == []  # fmt: skip
    assert sql("SELECT 1 FROM users WHERE deleted_at IS NOT NULL") == []


def sized(file_size: int) -> dict[str, Any]:
    return {"filename": "rings.jpg", "content_type": "image/jpeg", "file_size": file_size}


def test_defaults_are_no_limit_on_this_machine_and_a_wide_one_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()

    def allowed(**variables: str) -> tuple[int | None, int | None]:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            product.forget()
            quota = me(anna)["quota"]
        product.forget()
        return quota["bytes_allowed"], quota["photos_allowed"]

    assert allowed() == (None, None)
    assert allowed(QUOTA_BYTES="1000", QUOTA_PHOTOS="7") == (1000, 7)
    public = "https://gallery.example.com"
    assert allowed(BASE_URL=public) == (PUBLIC_BYTES, PUBLIC_PHOTOS)
    assert allowed(BASE_URL=public, QUOTA_BYTES="0", QUOTA_PHOTOS="0") == (None, None)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (15 * 2**20, "15.0 MiB"),
        (2**40, "1.0 TiB"),
        (3 * 2**50, "3,072.0 TiB"),
    ],
)
def test_sizes_are_told_in_words(size: int, words: str) -> None:
    assert human(size) == words
