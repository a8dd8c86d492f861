"""The status of an archive that is built: true, light, and without any effect."""

from __future__ import annotations

import io
import re
import uuid
import zipfile
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import text

from safelight import storage
from safelight.archives import service
from safelight.archives.plan import Plan
from safelight.db.engine import transaction
from safelight.jobs import queries as job_queries
from safelight.web import wanted
from tests import product
from tests.api import Photographer, client, jpeg, run_jobs
from tests.claims import build_part

pytestmark = pytest.mark.usefixtures("api")

MIB = 1024 * 1024


class Large:
    """A photographer's gallery of 12 MiB on a server that streams up to 1 MiB and builds in parts of 5."""

    def __init__(self, **policy: Any) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery(title="Anna & Ben")["id"]
        self.photos = [
            self.anna.upload(self.gallery, jpeg() + bytes(6 * MIB), filename=f"{number}.jpg") for number in range(2)
        ]
        run_jobs()
        self.share = self.anna.share(self.gallery, **policy)["share_id"]
        self.path = f"/s/{self.share}/download/all"
        self.visitor = client()

    def status(self, query: str = "") -> httpx.Response:
        return self.visitor.get(f"{self.path}/status{query}")

    def events(self) -> int:
        with transaction() as session:
            return int(session.execute(text("SELECT count(*) FROM share_events")).scalar_one())


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Large:
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", str(MIB))
    monkeypatch.setenv("ARCHIVE_PART_SIZE", str(5 * MIB))
    product.forget()
    return Large()


def due() -> list[uuid.UUID]:
    with transaction() as session:
        return [job_id for job_id, _ in job_queries.due(session, 1000)]


def test_an_archive_from_nothing_to_ready(large: Large) -> None:
    absent = large.status()
    assert (absent.status_code, absent.headers["cache-control"]) == (200, "no-store")
    assert "retry-after" not in absent.headers
    assert (absent.json()["status"], absent.json()["progress"]) == ("absent", 0.0)
    assert due() == []  # asking begins nothing

    begun = large.visitor.get(large.path)
    assert begun.status_code == 202
    named = begun.json()["status_url"]
    assert begun.headers["location"] == named == absent.json()["status_url"]
    assert re.fullmatch(re.escape(f"{large.path}/status?archive=") + "[0-9a-f]{96}", named)
    assert begun.json() == {
        "status": "building",
        "progress": 0.0,
        "parts": 3,
        "parts_done": 0,
        "size": begun.json()["size"],
        "download_url": large.path,
        "status_url": named,
        "reason": None,
    }
    seen = []
    for job_id in due():
        status = large.status()
        assert status.headers["retry-after"] == "3"
        seen.append((status.json()["parts_done"], status.json()["progress"]))
        build_part(job_id)
    assert seen == [(0, 0.0), (1, 0.3333), (2, 0.6667)]
    ready = large.status()
    assert "retry-after" not in ready.headers
    assert ready.json() == begun.json() | {"status": "ready", "progress": 1.0, "parts_done": 3}
    assert large.events() == 0  # and counts nothing

    head, got = large.visitor.head(large.path), large.visitor.get(large.path)
    assert (head.status_code, got.status_code) == (200, 307)
    assert int(head.headers["content-length"]) == ready.json()["size"]
    assert "Anna & Ben.zip" in head.headers["content-disposition"]
    assert large.events() == 1


def test_what_chose_the_archive_chooses_it_again(large: Large) -> None:
    begun = large.visitor.get(f"{large.path}?size=original&x=%C3%A9%0D%0A")
    assert begun.status_code == 202
    url = begun.headers["location"]
    assert url.startswith(f"{large.path}/status?size=original&x=%C3%A9%0D%0A&archive=")
    assert large.visitor.get(url).json()["download_url"] == f"{large.path}?size=original&x=%C3%A9%0D%0A"


def test_a_streamed_archive_is_always_ready(large: Large) -> None:
    told = large.status("?size=web").json()
    assert (told["status"], told["progress"], told["parts"]) == ("ready", 1.0, 0)
    assert told["size"] == int(large.visitor.head(told["download_url"]).headers["content-length"])


def test_a_failed_archive_says_which_photo_and_what_to_do(large: Large) -> None:
    large.visitor.get(large.path)
    with transaction() as session:
        key = session.execute(text("SELECT s3_key FROM photos WHERE filename = '1.jpg'")).scalar_one()
    storage.storage().delete([key])
    for job_id in due():
        build_part(job_id)
    failed = large.status().json()
    assert failed["status"] == "failed"
    assert "“1.jpg”" in failed["reason"]
    assert "upload it again" in failed["reason"]
    for method in ("GET", "HEAD"):
        refused = large.visitor.request(method, large.path)
        assert refused.status_code == 409
    assert large.visitor.get(large.path).json()["detail"] == failed["reason"]
    # After a while asking begins anew, although somebody asked all the time; and the status says failed no more.
    for earlier in ("1 minute", "2 minutes"):
        with transaction() as session:
            session.execute(text(f"UPDATE archives SET used_at = used_at - interval '{earlier}'"))
        if earlier == "1 minute":
            assert large.visitor.get(large.path).status_code == 409
    assert large.status().json()["status"] == "absent"
    assert large.visitor.head(large.path).status_code == 202
    assert large.visitor.get(large.path).json()["status"] == "building"


def test_who_asks_again_by_name_plans_nothing(large: Large, monkeypatch: pytest.MonkeyPatch) -> None:
    url = large.visitor.get(large.path).headers["location"]
    planned = []
    monkeypatch.setattr(wanted, "plan_gallery", lambda *given, **_: planned.append(given))
    for job_id in due():
        assert large.visitor.get(url).json()["status"] == "building"
        build_part(job_id)
    assert large.visitor.get(url).json()["status"] == "ready"
    assert planned == []
    monkeypatch.undo()


def test_a_ticket_is_good_for_its_own_link_under_its_own_policy(large: Large) -> None:
    """Anywhere else it is answered like the ticket of an archive that there never was."""
    ticket = large.visitor.get(large.path).headers["location"].partition("archive=")[2]
    digest = ticket[:64]
    unknown = f"{'0' * 64}{ticket[64:]}"

    def told(share: str, asked: str, query: str = "") -> dict[str, Any]:
        answer = client().get(f"/s/{share}/download/all/status?{query}archive={asked}")
        body: dict[str, Any] = {"status_code": answer.status_code, **answer.json()}
        return body

    assert told(large.share, ticket)["status"] == "building"
    # An archive of the same gallery, which these links do not hand out.
    small = large.anna.share(large.gallery, download="web")["share_id"]
    with transaction() as session:  # what the metadata's removal makes another archive of
        session.execute(text("DELETE FROM clean_originals"))
    stripped = large.anna.share(large.gallery, strip_metadata=True)["share_id"]
    used_up = large.anna.share(large.gallery, max_downloads=1)["share_id"]
    assert client().get(f"/s/{used_up}/download/{large.photos[0]}").status_code == 307
    other = client()
    other.headers["User-Agent"] = "somebody else"
    for share in (small, stripped, used_up):
        expected = told(share, unknown)
        for asked in (ticket, digest):
            assert told(share, asked) == expected, share
            assert told(share, asked).get("parts", 0) in (0, 1)
    assert told(used_up, ticket)["code"] == "download_limit_reached"
    locked = large.anna.share(large.gallery, password="Open 42")["share_id"]
    assert told(locked, ticket)["code"] == "password_required"
    # The digest alone, and the link's own ticket from before a change of its policy: planned, as one nobody knows.
    for _ in range(2):
        assert {told(large.share, asked)["status"] for asked in (digest, unknown, ticket)} == {"building"}
        large.anna.call("PATCH", f"/share-links/{large.share}", json={"max_downloads": 9})
    large.anna.call("PATCH", f"/share-links/{large.share}", json={"download": "web"})
    assert told(large.share, ticket) == told(large.share, unknown)
    assert told(large.share, ticket)["parts"] == 0


def test_the_photographers_ticket_is_not_a_visitors(large: Large, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/galleries/{large.gallery}/download"
    own = large.anna.call("GET", path).headers["location"]
    theirs = large.visitor.get(large.path).headers["location"]
    tickets = [url.partition("archive=")[2] for url in (own, theirs)]
    assert (tickets[0][:64] == tickets[1][:64], tickets[0] == tickets[1]) == (True, False)
    planned = []

    def noted(*given: Any, **more: Any) -> Plan:
        planned.append(given)
        return service.plan_gallery(*given, **more)

    monkeypatch.setattr(wanted, "plan_gallery", noted)
    for asked, times in ((tickets[1], 0), (tickets[0], 1)):
        assert large.status(f"?archive={asked}").json()["status"] == "building"
        assert len(planned) == times
    assert large.anna.call("GET", f"{path}/status?archive={tickets[0]}").json()["status"] == "building"
    assert len(planned) == 1
    monkeypatch.undo()


def test_a_name_tells_only_its_own_gallery(large: Large) -> None:
    url = large.visitor.get(large.path).headers["location"]
    digest = url.partition("archive=")[2]
    other = large.anna.gallery(title="Another")["id"]
    empty = large.anna.share(other)["share_id"]
    assert client().get(f"/s/{empty}/download/all/status?archive={digest}").json()["code"] == "nothing_to_download"
    assert large.status(f"?archive={'0' * 64}").json()["status"] == "building"  # one nobody knows: planned
    for wrong in ("", "0", "G" * 64, digest + "0", "../" + digest):
        assert large.status(f"?archive={wrong}").status_code == 422
    large.anna.call("PATCH", f"/share-links/{large.share}", json={"password": "Open 42"})
    assert client().get(url).status_code == 401
    large.anna.call("PATCH", f"/share-links/{large.share}", json={"revoked": True})
    assert large.visitor.get(url).status_code == 404


def test_the_same_decision_as_for_the_bytes(large: Large) -> None:
    locked = large.anna.share(large.gallery, password="Open 42")["share_id"]
    web = large.anna.share(large.gallery, download="web")["share_id"]
    assert client().get(f"/s/{locked}/download/all/status").status_code == 401
    assert client().get(f"/s/{web}/download/all/status?size=original").status_code == 403
    assert client().get(f"/s/{web}/download/all/status").json()["status"] == "ready"
    assert client().get(f"/s/{uuid.uuid4()}/download/all/status").status_code == 404
    large.anna.call("PATCH", f"/share-links/{large.share}", json={"revoked": True})
    assert large.status().status_code == 404


def test_the_photographer_waits_for_her_own(large: Large) -> None:
    path = f"/galleries/{large.gallery}/download"
    assert large.anna.call("HEAD", path).status_code == 202
    assert large.anna.call("GET", f"{path}/status").json()["status"] == "absent"
    begun = large.anna.call("GET", path)
    assert begun.headers["location"].startswith(f"{path}/status?archive=")
    assert large.anna.call("GET", begun.headers["location"]).json()["status"] == "building"
    for job_id in due():
        build_part(job_id)
    assert large.anna.call("GET", f"{path}/status").json()["status"] == "ready"
    head = large.anna.call("HEAD", path)
    assert (head.status_code, int(head.headers["content-length"])) == (200, begun.json()["size"])
    assert large.anna.call("HEAD", f"{path}?size=web").headers["content-type"] == "application/zip"
    # The same archive as the link's, so nobody waits for it twice.
    assert large.status().json()["status"] == "ready"


def test_a_selection_is_put_together_by_itself(large: Large) -> None:
    assert large.visitor.put(f"/s/{large.share}/favourites/{large.photos[1]}").status_code == 200
    mine = f"{large.path}?selection=mine"
    begun = large.visitor.get(mine)
    assert begun.status_code == 202
    assert begun.headers["location"].startswith(f"{large.path}/status?selection=mine&archive=")
    assert large.status().json()["status"] == "absent"  # the whole gallery is another archive
    assert client().get(f"{large.path}/status?selection=mine").json()["code"] == "nothing_to_download"
    for job_id in due():
        build_part(job_id)
    assert large.visitor.get(begun.headers["location"]).json()["status"] == "ready"
    built = httpx.get(large.visitor.get(mine).headers["location"], verify=False)
    with zipfile.ZipFile(io.BytesIO(built.content)) as received:
        assert received.testzip() is None
        assert received.namelist() == ["1.jpg", "SHA256SUMS.txt"]
    assert "Anna & Ben favourites.zip" in built.headers["content-disposition"]
    # What is picked later is another archive; the one that was built is not handed out for it.
    large.visitor.put(f"/s/{large.share}/favourites/{large.photos[0]}")
    assert large.visitor.get(f"{large.path}/status?selection=mine").json()["status"] == "absent"
