"""The fixtures that every other test stands on."""

from sqlalchemy import text

from safelight.config import Settings, settings
from safelight.db.engine import transaction
from safelight.storage import storage


def test_each_test_has_a_database_and_a_bucket_of_its_own(bucket_settings: Settings) -> None:
    assert settings() == bucket_settings
    with transaction() as session:
        assert session.execute(text("select count(*) from jobs")).scalar() == 0
        session.execute(text("insert into users (id, email, password_hash) values (uuidv7(), 'a@example.com', 'x')"))
    storage().write("incoming/one", b"1", "text/plain")
    assert list(storage().keys("")) == ["incoming/one"]


def test_what_one_test_leaves_the_next_does_not_find(bucket_settings: Settings) -> None:
    assert settings() == bucket_settings
    with transaction() as session:
        assert session.execute(text("select count(*) from users")).scalar() == 0
    assert list(storage().keys("")) == []


def test_a_module_can_share_one(module_settings: Settings) -> None:
    assert settings().bucket == module_settings.bucket
