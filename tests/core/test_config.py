"""Which settings are accepted where."""

import sys
import threading

import pytest
from pydantic import ValidationError

from safelight import config
from safelight.config import Misconfigured, NoTokenSecret, Settings, checked

GIVEN = {"DATABASE_URL": "postgresql://a:b@c/d", "JWT_SECRET": "x" * 32, "BUCKET": "b"}


def loaded(**more: str) -> Settings:
    return Settings.from_environment(GIVEN | more)


def test_the_sandbox_is_required_on_linux_unless_it_is_said_otherwise() -> None:
    assert loaded().sandbox == ("required" if sys.platform == "linux" else "platform")
    assert loaded(SANDBOX="required").sandbox == "required"


def test_the_platform_is_the_wall_on_lambda() -> None:
    assert loaded(SANDBOX="platform", AWS_LAMBDA_FUNCTION_NAME="process-photo").sandbox == "platform"


def test_the_platform_is_the_wall_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert loaded(SANDBOX="platform").sandbox == "platform"


def test_the_platform_is_no_wall_on_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ValidationError, match=r"SANDBOX=platform is for Lambda and macOS.*Remove SANDBOX"):
        loaded(SANDBOX="platform")


def test_there_is_no_third_way() -> None:
    for value in ("best-effort", "off", "none", "REQUIRED"):
        with pytest.raises(ValidationError, match="'required' or 'platform'"):
            loaded(SANDBOX=value)


@pytest.mark.parametrize(
    "base_url",
    ["http://127.0.0.1:8000", "http://localhost", "https://LocalHost.:1", "http://studio.localhost", "http://[::1]:8000",
     "http://127.9.9.9", ""],
)  # fmt: skip
def test_everyone_may_register_on_ones_own_machine(base_url: str) -> None:
    assert loaded(BASE_URL=base_url).registration == "open"


@pytest.mark.parametrize(
    "base_url",
    ["https://photos.example", "http://192.0.2.7:8000", "http://[2001:db8::1]", "http://0.0.0.0", "http://localhost.example",
     "http://127.0.0.1.example", "http://127.0.0.1@photos.example", "nonsense", "http://["],
)  # fmt: skip
def test_no_stranger_may_register_on_the_internet(base_url: str) -> None:
    assert loaded(BASE_URL=base_url).registration == "closed"
    assert loaded(BASE_URL=base_url, REGISTRATION="invite").registration == "invite"


def test_who_may_register_is_one_of_three() -> None:
    assert loaded(REGISTRATION="closed").registration == "closed"
    for value in ("Open", "no", "invited"):
        with pytest.raises(ValidationError, match="'open', 'invite' or 'closed'"):
            loaded(REGISTRATION=value)


PUBLIC = "https://gallery.example.com"
PUBLISHED = {
    "JWT_SECRET": ["only-for-this-machine-never-for-a-server", "Change-Me", " secret "],
    "the password in DATABASE_URL": ["safelight", "postgres", "p%61ssword", "%20safelight"],
    "AWS_SECRET_ACCESS_KEY": ["safelight-local", "minioadmin", "MinioAdmin"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in PUBLISHED for value in PUBLISHED[name]])
def test_a_published_secret_is_refused_where_others_can_reach_the_service(name: str, value: str) -> None:
    given = {name: value} if name.isupper() else {"DATABASE_URL": f"postgresql://safelight:{value}@db/safelight"}
    for base_url in ("http://127.0.0.1:8000", "http://localhost:3000", "http://[::1]:8000", "http://a.localhost"):
        assert not loaded(BASE_URL=base_url, **given).is_public
    for base_url in (PUBLIC, "http://192.168.1.7:8000", "http://0.0.0.0:8000", "https://localhost.example.com"):
        with pytest.raises(Misconfigured) as raised:
            checked(GIVEN | given | {"BASE_URL": base_url})
        message = str(raised.value)
        assert message.startswith(f"{name}: this value is published")
        assert "`make env`" in message
        assert value not in message


def test_a_server_needs_a_long_token_secret_and_takes_random_ones() -> None:
    with pytest.raises(ValidationError, match="JWT_SECRET must be a random value of 32 characters or more"):
        loaded(BASE_URL=PUBLIC, JWT_SECRET="x" * 31)
    given = loaded(BASE_URL=PUBLIC, DATABASE_URL="postgresql://safelight:9f2c@db/safelight", AWS_SECRET_ACCESS_KEY="k")
    assert given.is_public
    # The name of an account is no secret, and a database may know its users otherwise than by a password.
    assert loaded(BASE_URL=PUBLIC, DATABASE_URL="postgresql://safelight@db/x", AWS_ACCESS_KEY_ID="safelight").bucket


def test_a_scheme_is_compared_without_case() -> None:
    assert loaded(BASE_URL="HTTPS://photos.example").is_https
    assert not loaded(BASE_URL="http://127.0.0.1:8000").is_https


def test_a_wrong_setting_is_not_blamed_on_those_that_follow_from_it() -> None:
    with pytest.raises(Misconfigured) as raised:
        checked(GIVEN | {"DATABASE_PASSWORDS": "[]"})
    assert str(raised.value).startswith("DATABASE_PASSWORDS: ")
    assert "REGISTRATION" not in str(raised.value)


def test_quotas_are_numbers_and_none_is_negative() -> None:
    assert (loaded().quota_bytes, loaded(QUOTA_BYTES="0").quota_bytes) == (None, 0)
    for name in ("QUOTA_BYTES", "QUOTA_PHOTOS"):
        for value in ("-1", "10 GB", "1.5"):
            with pytest.raises(ValidationError, match=name.lower()):
                loaded(**{name: value})


def test_a_function_that_signs_nothing_needs_no_token_secret() -> None:
    without = Settings.from_environment({"DATABASE_URL": "postgresql://a:b@c/d", "BUCKET": "b", "STAGE": "prod"})
    with pytest.raises(NoTokenSecret, match="JWT_SECRET is not set"):
        _ = without.token_secret
    assert loaded().token_secret == "x" * 32


def test_a_role_with_a_known_password_has_a_url_of_its_own() -> None:
    given = loaded(
        DATABASE_URL="postgresql://owner:secret@host:5433/name?sslmode=require",
        DATABASE_PASSWORDS='{"visits": "a/b@c"}',
    )
    assert given.database_url_as("visits") == "postgresql://visits:a%2Fb%40c@host:5433/name?sslmode=require"
    assert given.database_url_as("other") == "postgresql://owner:secret@host:5433/name?sslmode=require"
    assert "a/b@c" not in repr(given)


@pytest.mark.parametrize("value", ["visits", "[]", '{"visits": 1}'])
def test_passwords_that_are_no_json_object_are_named_and_not_quoted(value: str) -> None:
    with pytest.raises(Misconfigured, match="DATABASE_PASSWORDS") as error:
        checked(GIVEN | {"DATABASE_PASSWORDS": value})
    assert value not in str(error.value)


def test_the_url_of_a_function_holds_in_its_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    config.settings.cache_clear()
    seen: list[str] = []
    with config.connected_to("postgresql://role:p@c/d"):
        assert config.database_url() == "postgresql://role:p@c/d"
        other = threading.Thread(target=lambda: seen.append(config.database_url()))
        other.start()
        other.join()
    assert [*seen, config.database_url()] == [GIVEN["DATABASE_URL"]] * 2
    config.settings.cache_clear()
