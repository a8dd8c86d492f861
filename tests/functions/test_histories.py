"""Random histories of one photographer's sessions, keys and links, beside a model of what must be so.

The model is told by what the product promises, in a few sets and numbers: which tokens and keys work, which grant opens
which link, how many downloads are left, what was picked. Every answer is compared with it.
`make fuzz` takes ten thousand steps.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, Phase, settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from safelight.accounts import api_keys
from safelight.security.tokens import refresh_token_hash
from safelight.shares.downloads import COPIES
from tests.api import Photographer, client, run_jobs
from tests.functions.modelled import Key, Link, Signed, Visitor, steps
from tests.functions.support import sql

pytestmark = pytest.mark.usefixtures("shared_api")

PHOTOS = 3
# (histories, steps each)
LENGTH = (100, 200) if os.environ.get("FUZZ") else (8, 100)
PASSWORDS = st.sampled_from(["Correct-Horse-7", "Correct-Horse-8", "Battery-Staple-9"])
LINK_PASSWORDS = st.sampled_from([None, "cake", "wine"])
SCOPES = st.sets(st.sampled_from(["read", "upload", "share"]), min_size=1)


class History(RuleBasedStateMachine):
    """Everything that can be done, in any order."""

    sessions = Bundle("sessions")
    keys = Bundle("keys")
    links = Bundle("links")
    visitors = Bundle("visitors")

    def __init__(self) -> None:
        super().__init__()
        self.browser, self.anna = client(), Photographer.registered()
        self.password = "Correct-Horse-7"
        self.gallery = self.anna.gallery()["id"]
        self.photos = [self.anna.upload(self.gallery) for _ in range(PHOTOS)]
        run_jobs()
        self.main = Signed([self.anna.tokens["refresh_token"]], [self.anna.tokens["access_token"]])
        self.signed = [self.main]
        self.made: list[Link] = []
        self.cut: list[Key] = []

    # Something of everything, so that any history is about something.

    @initialize(target=visitors)
    def begin_with_visitors(self) -> Any:
        return multiple(Visitor(), Visitor())

    @initialize(target=links)
    def begin_with_links(self) -> Any:
        return multiple(
            self.make_link(None, "original", 2, 1),
            self.make_link("cake", "web", 1, None),
            self.make_link("wine", "original", None, 2),
        )

    @initialize(target=sessions)
    def begin_with_a_session(self) -> Any:
        return self.sign_in(self.password)

    @initialize(target=keys)
    def begin_with_keys(self) -> Any:
        return multiple(self.make_key({"read"}), self.make_key({"share", "upload"}))

    # ------------------------------------------------------------ sessions

    @rule(target=sessions, password=PASSWORDS)
    def sign_in(self, password: str) -> Any:
        sql("DELETE FROM throttles")
        answer = self.nobody().post("/auth/login", json={"email": self.anna.email, "password": password})
        if password != self.password:
            assert answer.status_code == 401
            return multiple()
        assert answer.status_code == 200
        made = Signed([answer.json()["refresh_token"]], [answer.json()["access_token"]])
        self.signed.append(made)
        return made

    @rule(one=sessions, back=st.integers(0, 2))
    def refresh(self, one: Signed, back: int) -> None:
        """With the present token or an earlier one."""
        sql("DELETE FROM throttles")
        back = min(back, len(one.refresh) - 1)
        answer = self.nobody().post("/auth/refresh", json={"refresh_token": one.refresh[-1 - back]})
        if not one.live:
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        elif back == 0:
            assert answer.status_code == 200
            assert answer.json()["refresh_token"] not in one.refresh
            one.refresh.append(answer.json()["refresh_token"])
            one.access.append(answer.json()["access_token"])
            one.late = False
        elif back == 1 and not one.late:
            assert answer.status_code == 200  # the answer got lost: the same successor
            assert answer.json()["refresh_token"] == one.refresh[-1]
            one.access.append(answer.json()["access_token"])
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
            one.live = False

    @rule(one=sessions)
    def eleven_seconds_pass(self, one: Signed) -> None:
        sql(
            "UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds' WHERE token_hash = ANY(:hashes)",
            hashes=[refresh_token_hash(token) for token in one.refresh],
        )
        one.late = True

    @rule(one=sessions, late=st.booleans())
    def try_again(self, one: Signed, late: bool) -> None:
        """As whoever lost the answer does at once, and whoever stole the token does later."""
        self.refresh(one, 0)
        if late:
            self.eleven_seconds_pass(one)
        self.refresh(one, 1)

    @rule(one=sessions)
    def log_out(self, one: Signed) -> None:
        assert self.nobody().post("/auth/logout", json={"refresh_token": one.refresh[0]}).status_code == 204
        one.live = False

    @rule(one=sessions)
    def revoke_session(self, one: Signed) -> None:
        listed = {entry["id"] for entry in self.call("GET", "/auth/sessions").json()}
        hashed = refresh_token_hash(one.refresh[0])
        [(family,)] = sql("SELECT family_id::text FROM refresh_tokens WHERE token_hash = :hash", hash=hashed)
        assert (family in listed) is one.live
        assert self.call("DELETE", f"/auth/sessions/{family}").status_code == (204 if one.live else 404)
        one.live = False

    @rule(given=PASSWORDS, new=PASSWORDS)
    def change_password(self, given: str, new: str) -> None:
        sql("DELETE FROM throttles")
        answer = self.call("POST", "/auth/password", json={"current_password": given, "new_password": new})
        assert answer.status_code == (204 if given == self.password else 403)
        if answer.is_success:
            self.password = new
            for one in self.signed:
                one.live = one is self.main

    # ------------------------------------------------------------ keys

    @rule(target=keys, scopes=SCOPES)
    def make_key(self, scopes: set[str]) -> Any:
        answer = self.call("POST", "/auth/api-keys", json={"name": "k", "scopes": sorted(scopes)})
        if sum(key.live for key in self.cut) >= api_keys.MOST:
            assert answer.status_code == 409
            return multiple()
        assert answer.status_code == 201
        self.cut.append(Key(answer.json()["id"], answer.json()["key"], scopes))
        return self.cut[-1]

    @rule(key=keys)
    def use_key(self, key: Key) -> None:
        headers = {"X-API-Key": key.key}
        asked = {"read": ("GET", "/galleries"), "upload": ("PATCH", f"/galleries/{self.gallery}"),
                 "share": ("GET", f"/galleries/{self.gallery}/share-links")}  # fmt: skip
        for scope, (method, path) in asked.items():
            answer = self.nobody().request(method, path, headers=headers, json={} if method == "PATCH" else None)
            assert answer.status_code == (401 if not key.live else 200 if scope in key.scopes else 403)
        # A key is no session, and nobody here is an administrator.
        for path in ("/auth/sessions", "/metrics"):
            assert self.nobody().get(path, headers=headers).status_code == (403 if key.live else 401)

    @rule(key=keys)
    def revoke_key(self, key: Key) -> None:
        assert self.call("DELETE", f"/auth/api-keys/{key.id}").status_code == (204 if key.live else 404)
        key.live = False

    # ------------------------------------------------------------ links

    @rule(
        target=links,
        password=LINK_PASSWORDS,
        download=st.sampled_from(["none", "web", "original"]),
        most=st.one_of(st.none(), st.integers(1, 3)),
        favourites=st.one_of(st.none(), st.integers(1, 2)),
    )
    def make_link(self, password: str | None, download: str, most: int | None, favourites: int | None) -> Link:
        padded = password and password * 2
        policy = {"password": padded, "download": download, "max_downloads": most, "max_favourites": favourites}
        answer = self.call("POST", f"/galleries/{self.gallery}/share-links", json=policy)
        assert answer.status_code == 201
        made = Link(answer.json()["share_id"], padded, download, most, favourites)
        self.made.append(made)
        return made

    def patch(self, link: Link, **change: Any) -> bool:
        answer = self.call("PATCH", f"/share-links/{link.id}", json=change)
        assert answer.status_code == (404 if link.deleted else 200)
        return not link.deleted

    @rule(link=links, download=st.sampled_from(["none", "web", "original"]))
    def change_download(self, link: Link, download: str) -> None:
        if self.patch(link, download=download) and download != link.download:
            link.download, link.version = download, link.version + 1

    @rule(link=links, most=st.one_of(st.none(), st.integers(1, 4)))
    def change_limit(self, link: Link, most: int | None) -> None:
        if self.patch(link, max_downloads=most) and most != link.most:
            link.most, link.version = most, link.version + 1

    @rule(link=links, password=LINK_PASSWORDS)
    def change_link_password(self, link: Link, password: str | None) -> None:
        padded = password and password * 2
        if self.patch(link, password=padded) and (padded or link.password):
            # The same password again is a new hash, and a new policy.
            link.password, link.version = padded, link.version + 1

    @rule(link=links, revoked=st.booleans())
    def revoke_link(self, link: Link, revoked: bool) -> None:
        if self.patch(link, revoked=revoked) and revoked != link.revoked:
            link.revoked, link.version = revoked, link.version + 1

    @rule(link=links)
    def rename_link(self, link: Link) -> None:
        self.patch(link, label=uuid.uuid4().hex)

    @rule(link=links)
    def expire_link(self, link: Link) -> None:
        sql("UPDATE share_links SET expires_at = now() WHERE id = cast(:id AS uuid)", id=link.id)
        link.expired = True

    @rule(link=links)
    def give_link_time(self, link: Link) -> None:
        if self.patch(link, expires_at="2999-01-01T00:00:00Z"):
            [(version,)] = sql("SELECT policy_version FROM share_links WHERE id = cast(:id AS uuid)", id=link.id)
            assert version in (link.version, link.version + 1)  # it may have had this very time
            link.expired, link.version = False, version

    @rule(link=consumes(links))
    def delete_link(self, link: Link) -> None:
        assert self.call("DELETE", f"/share-links/{link.id}").status_code == 204
        link.deleted = True
        self.made.remove(link)

    # ------------------------------------------------------------ visitors

    def expected(self, visitor: Visitor, link: Link) -> int | None:
        """How a visitor is turned away, if she is."""
        if not link.live:
            return 404
        if link.password is not None and visitor.grants.get(link) != link.version:
            return 401
        return None

    @rule(visitor=visitors, link=links, password=LINK_PASSWORDS)
    def unlock(self, visitor: Visitor, link: Link, password: str | None) -> None:
        sql("DELETE FROM throttles")
        given = (password or "none") * 2
        answer = visitor.http.post(f"/s/{link.id}/unlock", json={"password": given})
        if not link.live:
            assert answer.status_code == 404
        elif link.password is None:
            assert answer.status_code == 204
        else:
            assert answer.status_code == (204 if given == link.password else 401)
            if answer.is_success:
                visitor.grants[link] = link.version

    @rule(visitor=visitors, link=links)
    def view(self, visitor: Visitor, link: Link) -> None:
        answer = visitor.http.get(f"/s/{link.id}")
        refused = self.expected(visitor, link)
        assert answer.status_code == (refused or 200)
        if refused is None:
            link.views += 1
            assert [one["photo_id"] for one in answer.json()["photos"]] == self.photos

    @rule(visitor=visitors, link=links, number=st.integers(0, PHOTOS - 1))
    def look(self, visitor: Visitor, link: Link, number: int) -> None:
        answer = visitor.http.get(f"/s/{link.id}/photos/{self.photos[number]}")
        assert answer.status_code == (self.expected(visitor, link) or 307)
        if answer.is_redirect:
            assert "/originals/" not in answer.headers["location"]

    @rule(visitor=visitors, link=links, number=st.integers(0, PHOTOS - 1))
    def download(self, visitor: Visitor, link: Link, number: int) -> None:
        answer = visitor.http.get(f"/s/{link.id}/download/{self.photos[number]}")
        refused = self.expected(visitor, link)
        file = (link, number, link.download)
        carries_on = visitor.copies[file] % COPIES > 0
        full = link.most is not None and link.downloads >= link.most and not carries_on
        assert answer.status_code == (refused or (403 if link.download == "none" or full else 307))
        if answer.is_redirect:
            visitor.copies[file] += 1
            link.downloads += not carries_on

    @rule(visitor=visitors, link=links)
    def download_more_than_is_left(self, visitor: Visitor, link: Link) -> None:
        for number in range(5):
            self.download(visitor, link, number % PHOTOS)

    @rule(visitor=visitors, link=links, number=st.integers(0, PHOTOS - 1))
    def pick(self, visitor: Visitor, link: Link, number: int) -> None:
        photo, mine = self.photos[number], visitor.picks.setdefault(link, set())
        answer = visitor.http.put(f"/s/{link.id}/favourites/{photo}")
        refused = self.expected(visitor, link)
        if refused is None and photo not in mine and link.favourites is not None and len(mine) >= link.favourites:
            refused = 409
        assert answer.status_code == (refused or 200)
        if refused is None:
            mine.add(photo)
            assert answer.json() == {"count": len(mine), "limit": link.favourites}

    @rule(visitor=visitors, link=links, number=st.integers(0, PHOTOS - 1))
    def take_back(self, visitor: Visitor, link: Link, number: int) -> None:
        answer = visitor.http.delete(f"/s/{link.id}/favourites/{self.photos[number]}")
        refused = self.expected(visitor, link)
        assert answer.status_code == (refused or 200)
        if refused is None:
            visitor.picks.get(link, set()).discard(self.photos[number])

    @rule(visitor=visitors, link=links)
    def submit(self, visitor: Visitor, link: Link) -> None:
        answer = visitor.http.post(f"/s/{link.id}/selection", json={"note": "these"})
        assert answer.status_code == (self.expected(visitor, link) or (200 if visitor.picks.get(link) else 409))
        if answer.is_success:
            visitor.submitted.add(link)
            assert set(answer.json()["photo_ids"]) == visitor.picks[link]

    @rule(visitor=visitors, link=links)
    def read_favourites(self, visitor: Visitor, link: Link) -> None:
        answer = visitor.http.get(f"/s/{link.id}/favourites")
        assert answer.status_code == (self.expected(visitor, link) or 200)
        if answer.is_success:
            assert set(answer.json()["photo_ids"]) == visitor.picks.get(link, set())
            assert (answer.json()["submitted_at"] is not None) is (link in visitor.submitted)

    # ------------------------------------------------------------ what always holds

    @invariant()
    def another_step(self) -> None:
        steps.append(type(self))

    def nobody(self) -> httpx.Client:
        """A browser without cookies."""
        self.browser.cookies.clear()
        return self.browser

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """As the photographer, in the session that is never ended."""
        headers = {"Authorization": f"Bearer {self.main.access[-1]}"}
        return self.anna.http.request(method, path, headers=headers, **options)

    @rule(number=st.integers(0, 5))
    def a_session_works_as_long_as_it_should(self, number: int) -> None:
        one = self.signed[number % len(self.signed)]
        for access in {one.access[0], one.access[-1]}:
            answer = self.nobody().get("/auth/me", headers={"Authorization": f"Bearer {access}"})
            assert answer.status_code == (200 if one.live else 401)

    @rule()
    def the_counters_are_exact(self) -> None:
        answer = self.call("GET", f"/galleries/{self.gallery}/share-links?limit=200")
        listed = {one["share_id"]: one for one in answer.json()["items"]}
        assert listed.keys() == {link.id for link in self.made}
        for link in self.made:
            shown = listed[link.id]
            assert (shown["views"], shown["single_downloads"]) == (link.views, link.downloads)
            assert (shown["has_password"], shown["revoked_at"] is not None) == (link.password is not None, link.revoked)
            assert (shown["download"], shown["max_downloads"]) == (link.download, link.most)

    def teardown(self) -> None:
        """What has to hold at the end of every history; then its browsers are closed."""
        self.the_counters_are_exact()
        for number in range(len(self.signed)):
            self.a_session_works_as_long_as_it_should(number)
        from tests import api

        while api.opened:
            api.opened.pop().close()


def test_whatever_happens_in_whatever_order_is_as_the_model_says(shared_api: str) -> None:
    assert shared_api
    histories, length = LENGTH
    stateful.run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=histories,
            stateful_step_count=length,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(steps) >= (10_000 if os.environ.get("FUZZ") else 300)
