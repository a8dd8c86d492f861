"""Passwords, tokens, grants and cursors by themselves."""

from __future__ import annotations

import datetime as dt
import time
import uuid

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.clock import now
from safelight.config import Settings
from safelight.errors import Invalid
from safelight.pages import decode_cursor, encode_cursor
from safelight.security import grants, passwords, tickets, tokens, visitorcookies
from safelight.shares.visitors import Visitor


@pytest.fixture
def _own_cost(password_cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", password_cost)


@pytest.mark.usefixtures("_own_cost")
def test_a_password_costs_what_it_should_and_nobody_costs_the_same() -> None:
    hashed = passwords.hash_password("Correct-Horse-7")
    assert hashed.startswith("$2b$12$")
    assert passwords.verify_password("Correct-Horse-7", hashed)
    assert not passwords.verify_password("nobody has this password", None)

    def cost(known: str | None) -> float:
        started = time.process_time()
        assert not passwords.verify_password("Wrong-Horse-7", known)
        return time.process_time() - started

    known, unknown = (min(cost(which) for _ in range(2)) for which in (hashed, None))
    assert 0.5 < known / unknown < 2


@pytest.mark.usefixtures("_own_cost")
def test_one_comparison_at_full_cost_for_anybody_and_any_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also at the very first unknown name, and for what is too long to be anybody's password."""
    hashed = passwords.hash_password("Correct-Horse-7")
    compared: list[tuple[int, bytes]] = []

    def checkpw(password: bytes, against: bytes) -> bool:
        compared.append((len(password), against[:7]))
        return True

    def no_hash(*_: object) -> bytes:
        raise AssertionError("a second hash is a second quarter of a second")

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    monkeypatch.setattr(bcrypt, "hashpw", no_hash)
    assert not passwords.verify_password("Correct-Horse-7", None)
    assert not passwords.verify_password("x" * 1024, None)
    assert not passwords.verify_password("x" * 1024, hashed)
    assert passwords.verify_password("Correct-Horse-7", hashed)
    assert compared == [(15, b"$2b$12$"), (72, b"$2b$12$"), (72, b"$2b$12$"), (15, b"$2b$12$")]


def test_a_password_beyond_72_bytes_is_never_cut() -> None:
    with pytest.raises(ValueError, match="72"):
        passwords.hash_password("x" * 73)


@pytest.mark.parametrize("secret", ["", "change-me", "Secret", "x" * 31])
def test_a_placeholder_secret_is_refused_outside_local_mode(secret: str) -> None:
    given_values = {"DATABASE_URL": "postgresql://localhost/x", "BUCKET": "b", "JWT_SECRET": secret, "STAGE": "prod"}
    with pytest.raises(ValueError, match=r"(?i)jwt_secret"):
        _ = Settings.from_environment(given_values).token_secret
    assert Settings.from_environment({**given_values, "JWT_SECRET": "x" * 32})


def test_a_grant_is_for_one_link_one_policy_one_secret_and_twelve_hours() -> None:
    share, moment = uuid.uuid4(), now()
    grant = grants.make_grant(share, 3, "secret", moment)
    almost = moment + grants.LIFETIME - dt.timedelta(seconds=2)
    assert grants.is_granted(grant, share, 3, "secret", almost)
    assert not grants.is_granted(grant, share, 3, "secret", moment + grants.LIFETIME)
    assert not grants.is_granted(grant, share, 4, "secret", moment)
    assert not grants.is_granted(grant, uuid.uuid4(), 3, "secret", moment)
    assert not grants.is_granted(grant, share, 3, "other", moment)
    assert not grants.is_granted(None, share, 3, "secret", moment)


@settings(deadline=None)
@given(st.text())
def test_no_other_text_is_a_grant(grant: str) -> None:
    assert not grants.is_granted(grant, uuid.UUID(int=1), 1, "secret", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def test_refresh_tokens_differ_by_session_generation_and_secret() -> None:
    one, other = uuid.uuid4(), uuid.uuid4()
    made = {
        tokens.make_refresh_token(family, n, secret) for family in (one, other) for n in (0, 1) for secret in ("a", "b")
    }
    assert len(made) == 8
    assert all(len(token) == 43 for token in made)
    assert tokens.make_refresh_token(one, 0, "a") in made


def test_a_visitors_cookie_is_read_on_its_own_link_for_a_month_by_its_own_secret() -> None:
    share, moment = uuid.uuid4(), dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    value = visitorcookies.make_cookie(share, b"f" * 16, "secret", moment, downloading=True)
    almost = moment + visitorcookies.LIFETIME - dt.timedelta(seconds=1)
    for later in (moment, almost):
        held = visitorcookies.read_cookie(value, share, "secret", later)
        assert held is not None
        assert (held.issued, held.formerly, held.downloading, len(held.name)) == (moment, b"f" * 16, True, 16)
    assert visitorcookies.read_cookie(value, share, "secret", moment + visitorcookies.LIFETIME) is None
    assert visitorcookies.read_cookie(value, uuid.uuid4(), "secret", moment) is None
    assert visitorcookies.read_cookie(value, share, "other", moment) is None
    for place in range(len(value) - 1):  # the last character has two bits that mean nothing
        changed = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        assert visitorcookies.read_cookie(changed, share, "secret", moment) is None
    other = visitorcookies.make_cookie(share, b"f" * 16, "secret", moment, downloading=True)
    assert other != value


@settings(deadline=None)
@given(st.none() | st.text() | st.text(min_size=71, max_size=71) | st.text("Aa0-_=", min_size=71, max_size=71))
def test_no_other_text_is_a_visitors_cookie(value: str | None) -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert visitorcookies.read_cookie(value, uuid.UUID(int=1), "secret", moment) is None


@settings(deadline=None)
@given(st.text() | st.text("0123456789abcdef", min_size=64, max_size=96))
def test_an_archives_ticket_is_read_in_its_own_scope_alone(other: str) -> None:
    digest = "ab" * 32
    ticket = tickets.make_ticket(digest, "link/1/1", "secret")
    assert (len(ticket), tickets.read_ticket(ticket, "link/1/1", "secret")) == (tickets.TICKET_LENGTH, digest)
    for scope, secret in (("link/1/2", "secret"), ("link/2/1", "secret"), ("link/1/1", "other")):
        assert tickets.read_ticket(ticket, scope, secret) is None
    for text in (other, ticket + other, ticket[:-1], digest):
        assert text == ticket or tickets.read_ticket(text, "link/1/1", "secret") is None


def test_a_visitor_is_one_today_and_nobody_tomorrow() -> None:
    today, tomorrow = b"t" * 32, b"m" * 32
    share, other = uuid.uuid4(), uuid.uuid4()
    visitor = Visitor(share, "192.0.2.1", "Browser")
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    cookie = visitorcookies.VisitorCookie(b"c" * 16, moment, b"f" * 16, downloading=True)
    assert visitor.digest("s", today) == Visitor(share, "192.0.2.1", "Browser").digest("s", today)
    assert Visitor(share, None, None).digest("s", today) == Visitor(share, None, "").digest("s", today)
    owner = Visitor(share, "192.0.2.1", "Browser", cookie)
    assert owner.digest("s", today) == Visitor(share, "192.0.2.9", "Another", cookie).digest("s", today)
    others = [
        visitor.digest("s", tomorrow), visitor.digest("t", today),
        Visitor(other, "192.0.2.1", "Browser").digest("s", today),
        Visitor(share, "192.0.2.2", "Browser").digest("s", today), Visitor(share, None, None).digest("s", today),
        owner.digest("s", today), owner.digest("s", tomorrow), owner.digest("t", today),
        Visitor(other, "192.0.2.1", "Browser", cookie).digest("s", today),
    ]  # fmt: skip
    assert len({visitor.digest("s", today), *others}) == 10


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.uuids(), st.datetimes(timezones=st.just(dt.UTC)))
def test_a_cursor_is_read_as_it_was_written(position: int, key: uuid.UUID, moment: dt.datetime) -> None:
    assert decode_cursor(encode_cursor(position, key), int, uuid.UUID) == [position, key]
    assert decode_cursor(encode_cursor(moment.isoformat(), key), dt.datetime, uuid.UUID) == [moment, key]


KEYS = st.lists(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()), max_size=3
)


@settings(deadline=None)
@given(st.text(max_size=60) | KEYS.map(lambda key: encode_cursor(*key)))
def test_any_other_cursor_is_refused_and_nothing_else_happens(cursor: str) -> None:
    for kinds in ((int, uuid.UUID), (dt.datetime, uuid.UUID)):
        try:
            first, second = decode_cursor(cursor, *kinds)
        except Invalid:
            continue
        assert isinstance(first, kinds[0])
        assert isinstance(second, uuid.UUID)
