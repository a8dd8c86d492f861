"""kill -9 of every part of the running stack while photos are uploaded: what was acknowledged ends well, once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from tests.api import PASSWORD, jpeg
from tests.journeys.stack import Stack, running_stack

VICTIMS = ["worker", "database", "object store", "gateway", "stack"]
UPLOADS = 10


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The real thing, on free ports."""
    with running_stack(tmp_path_factory.mktemp("home")) as running:
        yield running


class Uploader:
    """A photographer's patient client; `acknowledged` maps photos to their bytes."""

    def __init__(self, stack: Stack) -> None:
        account = {"email": "anna@example.com", "password": PASSWORD}
        assert stack.ask("POST", "/auth/register", json=account).status_code == 201
        token = stack.ask("POST", "/auth/login", json=account).json()["access_token"]
        self.stack = stack
        self.headers = {"Authorization": f"Bearer {token}"}
        self.gallery = self.ask("POST", "/galleries", json={"title": "Storm"})["id"]
        self.acknowledged: dict[str, bytes] = {}
        self.one_is_acknowledged = threading.Event()
        self._colours = count()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """A request that ends well."""
        answer = self.stack.ask(method, path, headers=self.headers, **options)
        assert answer.is_success, answer.text
        return answer.json()

    def upload(self, _: int) -> None:
        """Until it is acknowledged; whatever breaks is begun again, as a person would."""
        number = next(self._colours)
        data = jpeg(640, 480, colour=(number, 255 - number, 77))
        body = {"filename": f"{number}.jpg", "content_type": "image/jpeg", "file_size": len(data)}
        while True:
            made = self.ask("POST", f"/galleries/{self.gallery}/photos", json=body)
            photo_id, form = made["photo"]["id"], made["upload"]
            posted = self.stack.ask("POST", form["url"], data=form["fields"], files={"file": ("photo.jpg", data)})
            assert posted.status_code == 204, posted.text
            answer = self.stack.ask("POST", f"/photos/{photo_id}/complete", headers=self.headers)
            if answer.status_code == 200:
                self.acknowledged[photo_id] = data
                self.one_is_acknowledged.set()
                return
            assert answer.status_code == 409, answer.text

    def unsettled(self) -> list[dict[str, Any]]:
        """Acknowledged photos that are neither ready nor failed."""
        listed: dict[str, dict[str, Any]] = {}
        cursor = ""
        while True:
            page = self.ask("GET", f"/galleries/{self.gallery}/photos?limit=100{cursor}")
            listed |= {photo["id"]: photo for photo in page["items"]}
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert self.acknowledged.keys() <= listed.keys(), "an acknowledged photo is lost"
        return [listed[each] for each in self.acknowledged if listed[each]["status"] not in ("ready", "failed")]


def settle(uploader: Uploader, stack: Stack) -> None:
    """Wait for every photo. The leases of dead workers end now; those taken afterwards are left alone."""
    stack.sql("UPDATE jobs SET lease_until = now() WHERE status = 'running'")
    deadline = time.monotonic() + 300
    while unsettled := uploader.unsettled():
        assert time.monotonic() < deadline, unsettled
        stack.sql("UPDATE jobs SET run_after = now() WHERE status = 'queued' AND run_after > now() + '1 s'::interval")
        time.sleep(0.3)


def test_every_part_is_killed_while_photos_arrive(stack: Stack) -> None:
    uploader = Uploader(stack)
    for number, victim in enumerate(VICTIMS, 1):
        uploader.one_is_acknowledged.clear()
        with ThreadPoolExecutor(UPLOADS) as pool:
            uploads = [pool.submit(uploader.upload, n) for n in range(UPLOADS)]
            assert uploader.one_is_acknowledged.wait(120)
            stack.kill(victim)
            if victim == "stack":
                stack.start()
            for upload in uploads:
                upload.result(300)
        assert len(uploader.acknowledged) == number * UPLOADS
    settle(uploader, stack)

    for photo_id, data in uploader.acknowledged.items():
        photo = uploader.ask("GET", f"/photos/{photo_id}")
        assert photo["status"] == "ready", photo["failure_reason"]
        for name in ("original", "thumb", "preview", "large", "grayscale"):
            found = stack.ask("GET", f"/photos/{photo_id}/renditions/{name}", headers=uploader.headers)
            content = stack.ask("GET", found.headers["location"])
            assert content.status_code == 200, content.text
            assert name != "original" or content.content == data
    live = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
    assert stack.sql(live) == [[0]]
    ids = ",".join(f"'{photo_id}'" for photo_id in uploader.acknowledged)
    done = f"SELECT subject_id, count(*) FROM jobs WHERE subject_id IN ({ids}) GROUP BY 1 HAVING count(*) <> 1"
    assert stack.sql(done) == []
