"""Favourites by themselves, on a real Postgres: exact however many requests come at once."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from safelight.db import driver
from safelight.db.engine import transaction
from safelight.errors import NotFound, TooManyRequests
from safelight.models import Gallery, Photo, ShareLink, User
from safelight.shares import favourites, limits, visits
from safelight.shares.favourites import Beginner, FavouritesFull, NothingPicked, Submission
from safelight.shares.visits import Share
from tests import product

SOMEBODY = Beginner(None, "secret")

pytestmark = pytest.mark.usefixtures("module_settings")


@pytest.fixture(autouse=True)
def _many_connections(module_settings: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert module_settings
    monkeypatch.setenv("DATABASE_POOL", "16")
    product.forget()
    yield
    driver.close()


def made(photos: int = 40, **policy: Any) -> tuple[Share, list[uuid.UUID]]:
    """A live link and the ready photos that it shows."""
    with transaction() as session:
        owner = User(email=f"{uuid.uuid4().hex}@example.com", password_hash="none")
        session.add(owner)
        session.flush()
        gallery = Gallery(owner_id=owner.id)
        session.add(gallery)
        session.flush()
        rows = [
            Photo(gallery_id=gallery.id, filename=f"{n}.jpg", content_type="image/jpeg", file_size=1, s3_key="none",
                  status="ready", position=n) for n in range(photos)
        ]  # fmt: skip
        link = ShareLink(gallery_id=gallery.id, **policy)
        session.add_all([link, *rows])
        session.flush()
        link_id, ids = link.id, [row.id for row in rows]
    with driver.connection() as connection:
        return visits.find(connection, str(link_id)), ids


def add(share: Share, token: str | None, photo: uuid.UUID) -> favourites.Picked:
    with driver.connection() as connection:
        return favourites.add(connection, share, token, Beginner(None, "secret"), photo)


def remove(share: Share, token: str | None, photo: uuid.UUID) -> favourites.Picked:
    with driver.connection() as connection:
        return favourites.remove(connection, share, token, photo)


def count(share: Share, token: str) -> int:
    with driver.connection() as connection:
        [[found]] = connection.run(
            "SELECT count(*) FROM selection_photos WHERE selection_id = :id",
            id=favourites.own(connection, share, token),
        )
    return int(found)


def begun(share: Share, photo: uuid.UUID) -> str:
    token = add(share, None, photo).token
    assert token is not None
    return token


def test_a_limit_is_exact_in_every_round() -> None:
    share, photos = made(201, max_favourites=20)
    token = begun(share, photos[0])

    def attempt(photo: uuid.UUID) -> bool:
        with contextlib.suppress(FavouritesFull):
            add(share, token, photo)
            return True
        return False

    with ThreadPoolExecutor(16) as pool:
        for _ in range(10):
            assert sum(pool.map(attempt, photos[1:])) == 19
            assert count(share, token) == 20
            with driver.connection() as connection:
                connection.run("DELETE FROM selection_photos WHERE photo_id <> :kept", kept=photos[0])


def test_whatever_order_changes_come_in_the_limit_holds_and_the_count_is_true() -> None:
    share, photos = made(30, max_favourites=7)
    token = begun(share, photos[0])
    chance = random.Random(7)
    steps = [(chance.random() < 0.6, chance.choice(photos)) for _ in range(600)]

    def step(what: tuple[bool, uuid.UUID]) -> int:
        adding, photo = what
        try:
            return (add if adding else remove)(share, token, photo).count
        except FavouritesFull:
            return 7

    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(step, steps))
    assert max(counts) == 7
    assert count(share, token) <= 7
    assert remove(share, token, photos[0]).count == count(share, token)


def test_the_same_photo_many_times_at_once_is_one_favourite() -> None:
    share, photos = made(2, max_favourites=2)
    token = begun(share, photos[0])
    with ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda _: add(share, token, photos[1]).count, range(100)))
    assert counts == [2] * 100
    assert count(share, token) == 2


def test_only_so_many_selections_are_begun_at_once() -> None:
    share, photos = made(1)

    def attempt(_: int) -> bool:
        with contextlib.suppress(TooManyRequests):
            return add(share, None, photos[0]).token is not None
        return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(300))) == limits.BEGIN_HERE.tries
    with driver.connection() as connection:
        [[kept]] = connection.run("SELECT count(*) FROM selections WHERE share_id = :share", share=share.id)
    assert kept == limits.BEGIN_HERE.tries


def test_a_photo_deleted_meanwhile_is_never_counted() -> None:
    share, photos = made(40, max_favourites=5)
    token = begun(share, photos[0])

    def pick(photo: uuid.UUID) -> None:
        with contextlib.suppress(FavouritesFull, NotFound):
            add(share, token, photo)

    def delete(photo: uuid.UUID) -> None:
        with driver.connection() as connection:
            connection.run("UPDATE photos SET deleted_at = now() WHERE id = :id", id=photo)

    with ThreadPoolExecutor(16) as pool:
        deeds = [pool.submit(deed, photo) for photo in photos[1:] for deed in (pick, delete)]
        for deed in deeds:
            deed.result()
    with driver.connection() as connection:
        shown = favourites.listing(connection, share, token)
    assert f'"photo_ids" : ["{photos[0]}"], "count" : 1'.encode() in shown
    with pytest.raises(NotFound):
        add(share, token, photos[1])


def test_a_selection_whose_photos_are_erased_can_go_on() -> None:
    share, photos = made(3)
    token = begun(share, photos[0])
    with driver.connection() as connection:
        connection.run("DELETE FROM photos WHERE id = :id", id=photos[0])
    assert count(share, token) == 0
    with driver.connection() as connection, pytest.raises(NothingPicked):
        favourites.submit(connection, share, token, Submission(None, None, ""))
    assert add(share, token, photos[1]).count == 1


def test_a_refused_favourite_leaves_nothing_behind() -> None:
    share, _ = made(1)
    with pytest.raises(NotFound):
        add(share, None, uuid.uuid4())
    with driver.connection() as connection:
        assert connection.run("SELECT 1 FROM selections WHERE share_id = :share", share=share.id) == []


def test_each_change_takes_a_fixed_number_of_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    share, photos = made(30)
    sent: list[str] = []
    run = driver._Connection.run

    def noted(self: Any, statement: str, *args: Any, **values: Any) -> Any:
        sent.append(statement)
        return run(self, statement, *args, **values)

    with driver.connection() as connection:
        monkeypatch.setattr(driver._Connection, "run", noted)
        token = favourites.add(connection, share, None, SOMEBODY, photos[0]).token
        assert len(sent) == 5  # the link's lock, the address's limit, which takes two, the selection, the favourite
        for photo in photos[1:]:
            sent.clear()
            favourites.add(connection, share, token, SOMEBODY, photo)
            assert len(sent) == 2
        for deed, most in (
            (lambda: favourites.remove(connection, share, token, photos[0]), 2),
            (lambda: favourites.listing(connection, share, token), 1),
            (lambda: favourites.submit(connection, share, token, Submission(None, None, "")), 3),
            (lambda: favourites.own(connection, share, token), 1),
        ):
            sent.clear()
            deed()
            assert len(sent) == most
