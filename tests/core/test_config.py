"""Which settings are accepted where."""

import sys

import pytest
from pydantic import ValidationError

from safelight.config import Settings

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
