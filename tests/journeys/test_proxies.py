"""The product behind nginx and behind Caddy, as docs/proxies configures them, with clients of many addresses."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import socket
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from local.process import free_ports
from tests.api import PASSWORD, Photographer, jpeg
from tests.core.archives.readers import installed
from tests.journeys.proxies import SITE, STORE, proxy
from tests.journeys.stack import Stack, running_stack

MIB = 1024 * 1024
IPHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"}
PHOTOS = 3


@pytest.fixture(scope="module", autouse=True)
def _names() -> Iterator[None]:
    """The proxy's names are of this machine."""
    found = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **options: Any) -> Any:
        return found("127.0.0.1" if host in (SITE, STORE, SITE.encode(), STORE.encode()) else host, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


@dataclass
class Site:
    """A stack behind a proxy; `client` is a browser at an address of its own, one of 127.0.0.0/8."""

    stack: Stack
    url: str
    port: int
    store_port: int
    opened: contextlib.ExitStack
    last: int = 10
    originals: dict[str, bytes] = field(default_factory=dict)
    gallery: str = ""
    anna: Photographer = field(default_factory=lambda: Photographer(http=httpx.Client()))

    def client(self, address: str | None = None) -> httpx.Client:
        if address is None:
            self.last += 1
            address = f"127.0.0.{self.last}"
        transport = httpx.HTTPTransport(verify=False, local_address=address)
        return self.opened.enter_context(
            httpx.Client(base_url=self.url, transport=transport, timeout=120, headers=IPHONE)
        )

    def link(self, **policy: Any) -> str:
        return str(self.anna.share(self.gallery, **policy)["share_id"])

    def log(self) -> str:
        return (self.stack.home / "logs" / "gateway.log").read_text()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With a photographer whose gallery has three photos of 15 MiB, all of it done through the proxy."""
    folder = tmp_path_factory.mktemp(request.param)
    port, store_port = free_ports(2)
    url = f"https://{SITE}:{port}"
    environment = {
        "BASE_URL": url,
        "TRUSTED_PROXIES": "127.0.0.1",
        "S3_PORT": str(store_port),
        "S3_PUBLIC_ENDPOINT": f"https://{STORE}:{port}",
        "REGISTRATION": "open",
    }
    with (
        contextlib.ExitStack() as opened,
        running_stack(folder / "home", environment) as stack,
        proxy(request.param, folder / "proxy", port, stack.port, store_port),
    ):
        made = Site(stack, url, port, store_port, opened)
        made.anna = Photographer(http=made.client())
        account = {"email": made.anna.email, "password": PASSWORD}
        assert made.anna.http.post("/auth/register", json=account).status_code == 201
        made.anna.sign_in()
        made.gallery = made.anna.gallery()["id"]
        for _ in range(PHOTOS):
            data = jpeg() + os.urandom(15 * MIB - len(jpeg()))
            made.originals[made.anna.upload(made.gallery, data)] = data
        for photo in made.originals:
            eventually(lambda photo=photo: made.anna.photo(photo)["status"] == "ready", "not processed")  # type: ignore[misc]  # mypy sees no type of a default
        yield made


def eventually(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def test_no_warning_is_printed(site: Site) -> None:
    assert "TRUSTED_PROXIES" not in site.stack.said


def test_photos_of_15_mib_come_and_go_unchanged(site: Site) -> None:
    guest, share = site.client(), site.link()
    for photo, data in site.originals.items():
        sent = guest.get(f"/s/{share}/download/{photo}")
        assert sent.status_code == 307
        assert sent.headers["location"].startswith(f"https://{STORE}:{site.port}/")
        assert hashlib.sha256(guest.get(sent.headers["location"]).content).digest() == hashlib.sha256(data).digest()
    shown = guest.get(f"/s/{share}").json()["photos"]
    assert {guest.get(photo["thumbnail_url"]).status_code for photo in shown} == {200}


def test_a_signed_address_holds_for_the_stores_name_alone(site: Site) -> None:
    guest, share = site.client(), site.link()
    thumbnail = httpx.URL(guest.get(f"/s/{share}").json()["photos"][0]["thumbnail_url"])
    direct = f"http://127.0.0.1:{site.store_port}{thumbnail.raw_path.decode()}"
    assert guest.get(direct).status_code == 403
    assert guest.get(direct, headers={"Host": f"{STORE}:{site.port}"}).status_code == 200


def test_a_zip_that_is_cut_is_resumed(site: Site, tmp_path: Path) -> None:
    guest, path = site.client(), f"/s/{site.link()}/download/all"
    with guest.stream("GET", path) as answer:
        assert answer.status_code == 200
        length, etag = int(answer.headers["content-length"]), answer.headers["etag"]
        start = b""
        for piece in answer.iter_raw():
            start += piece
            if len(start) > 5 * MIB:
                break
    rest = guest.get(path, headers={"Range": f"bytes={len(start)}-", "If-Range": etag})
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {len(start)}-{length - 1}/{length}"
    check(io.BytesIO(start + rest.content), site)
    target = tmp_path / "gallery.zip"
    curl = [
        installed("curl"),
        "-sSfk",
        "--resolve",
        f"{SITE}:{site.port}:127.0.0.1",
        "-o",
        str(target),
        site.url + path,
    ]
    subprocess.run([*curl, "-r", f"0-{7 * MIB}"], check=True)
    subprocess.run([*curl, "-C", "-"], check=True)
    with target.open("rb") as file:
        check(file, site)


def check(file: Any, site: Site) -> None:
    with zipfile.ZipFile(file) as archive:
        found = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    assert sorted(found) == sorted(site.originals.values())


def test_a_zip_is_not_read_ahead_of_its_visitor(site: Site) -> None:
    """A proxy that took it at once would hold it on its disk, and all of it would count as sent."""
    share = site.link()
    path = f"/s/{share}/download/all"
    with site.client().stream("GET", path) as answer:
        pieces = answer.iter_raw()  # it would close the answer with its own end
        next(pieces)
        time.sleep(4)  # a proxy that reads ahead has read all by now

    def ends() -> list[str]:
        lines = [json.loads(line) for line in site.log().splitlines() if share in line and '"archive ' in line]
        return [line["message"] for line in lines if line["length"]]

    eventually(lambda: bool(ends()), "its end is not noticed")
    assert ends() == ["archive left by the client"]


def test_three_guests_with_the_same_telephone_are_three(site: Site) -> None:
    photo = next(iter(site.originals))
    share = site.link(max_downloads=1)
    guests = [site.client() for _ in range(3)]
    assert [guest.get(f"/s/{share}").status_code for guest in guests] == [200] * 3
    assert [guest.get(f"/s/{share}/download/{photo}").status_code for guest in guests] == [307, 403, 403]
    assert guests[0].get(f"/s/{share}/download/{photo}").status_code == 307
    stats = site.anna.call("GET", f"/share-links/{share}/stats").json()
    assert stats["single_downloads"] == 1
    assert [day["unique_visitors"] for day in stats["days"] if day["views"]] == [3]


LIES: list[dict[str, str]] = [
    {},
    {"X-Forwarded-For": "198.51.100.{n}"},
    {"X-Forwarded-For": "198.51.100.{n}, 127.0.0.1"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=198.51.100.{n}"},
    {"X-Forwarded-For": "unknown", "Forwarded": 'for="[2001:db8::{n}]"'},
    {"X-Real-IP": "198.51.100.{n}", "CloudFront-Viewer-Address": "198.51.100.{n}:1", "X-Origin-Secret": ""},
]


def test_one_guesser_locks_out_nobody_else_whatever_he_claims_to_be(site: Site) -> None:
    share = site.link(password="cake and wine")
    guesser, couple = site.client(), site.client()

    def guess(number: int) -> int:
        headers = {name: value.format(n=number) for name, value in LIES[number % len(LIES)].items()}
        wrong = {"password": f"wine and cake {number}"}
        return guesser.post(f"/s/{share}/unlock", json=wrong, headers=headers).status_code

    guesses = [guess(number) for number in range(28)]
    assert guesses[:20] == [401] * 20
    assert Counter(guesses[20:])[429] >= 7  # one more is allowed every 45 s
    assert couple.post(f"/s/{share}/unlock", json={"password": "cake and wine"}).status_code == 204
    assert couple.get(f"/s/{share}").status_code == 200


def test_one_guesser_keeps_no_photographer_from_signing_in(site: Site) -> None:
    guesser = site.client()
    wrong = {"email": site.anna.email, "password": "Wrong-Horse-7"}
    codes = [guesser.post("/auth/login", json=wrong).status_code for _ in range(13)]
    assert codes[:10] == [401] * 10
    assert 429 in codes[10:]
    right = {"email": site.anna.email, "password": PASSWORD}
    assert site.client().post("/auth/login", json=right).status_code == 200


def test_bodies_pass_up_to_the_products_limits_and_it_refuses_larger_ones(site: Site) -> None:
    batch = f"/galleries/{site.anna.gallery()['id']}/photos/batch"
    photo = {"filename": "1.jpg", "content_type": "image/jpeg", "file_size": 1, "description": "x" * 1900}
    headers = {"Content-Type": "application/json"}
    assert site.anna.call("POST", batch, json={"photos": [photo] * 100}).status_code == 201
    for size, status, code in ((4 * MIB, 422, "invalid"), (4 * MIB + 1, 413, "too_large")):
        answer = site.anna.call("POST", batch, content=b'{"photos": []}'.ljust(size), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert site.anna.call("POST", batch, content=b"{}".ljust(11 * MIB), headers=headers).status_code == 413


def test_every_answer_says_once_that_https_is_all(site: Site) -> None:
    guest = site.client()
    for path in ("/health", "/nothing-is-here", f"/s/{site.link()}/download/all", "/s/none"):
        answer = guest.head(path)
        assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"], path


def test_long_cookies_come_through(site: Site) -> None:
    guest, share = site.client(), site.link()
    assert guest.get(f"/s/{share}", headers={"Cookie": f"other={'x' * 20_000}"}).status_code == 200


def test_cookies_are_for_https_alone(site: Site) -> None:
    share = site.link(password="cake and wine")
    cookie = site.client().post(f"/s/{share}/unlock", json={"password": "cake and wine"}).headers["set-cookie"]
    assert "Secure" in cookie
