"""The running stack, killed or stopped in the middle of an erasure: once the report says finished, no byte is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api import PASSWORD, jpeg
from tests.journeys.stack import Stack, running_stack
from tests.volumes import canary, files_with, with_comment


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The real thing, on free ports."""
    with running_stack(tmp_path_factory.mktemp("home")) as running:
        yield running


class Account:
    """A photographer with one photo that is ready; `secret` is in the photo's file and nowhere else."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.secret = stack, canary()
        account = {"email": f"{name}@example.com", "password": PASSWORD}
        assert stack.ask("POST", "/auth/register", json=account).status_code == 201
        token = stack.ask("POST", "/auth/login", json=account).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        data = with_comment(jpeg(640, 480), self.secret)
        gallery = self._post("/galleries", title=name)["id"]
        announced = {"filename": "1.jpg", "content_type": "image/jpeg", "file_size": len(data)}
        made = self._post(f"/galleries/{gallery}/photos", **announced)
        form, self.photo = made["upload"], made["photo"]["id"]
        posted = stack.ask("POST", form["url"], data=form["fields"], files={"file": ("1.jpg", data)})
        assert posted.status_code == 204, posted.text
        self._post(f"/photos/{self.photo}/complete")
        until(lambda: self.secret in self.original())

    def original(self) -> bytes:
        """The photo's file; nothing before it is ready."""
        found = self.stack.ask("GET", f"/photos/{self.photo}/renditions/original", headers=self.headers)
        if found.status_code != 307:
            return b""
        return self.stack.ask("GET", found.headers["location"]).content

    def leave(self) -> str:
        """Delete the account; the address of the report."""
        answer = self.stack.ask("DELETE", "/auth/me", headers=self.headers)
        assert answer.status_code == 204
        return str(answer.headers["location"])

    def _post(self, path: str, **body: object) -> dict[str, Any]:
        answer = self.stack.ask("POST", path, headers=self.headers, json=body)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made


def control(stack: Stack) -> str:
    """What the store wrote at its start; empty while it starts."""
    path = stack.home / "objects" / "control.json"
    return path.read_text() if path.exists() else ""


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, as long as a busy machine may need."""
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "interruption",
    [pytest.param("stop", marks=pytest.mark.long), "object store", pytest.param("stack", marks=pytest.mark.long)],
)
def test_a_finished_erasure_has_left_no_byte_whatever_interrupted_it(stack: Stack, interruption: str) -> None:
    name = interruption.replace(" ", "")
    stays, leaves = Account(stack, f"{name}-stays"), Account(stack, f"{name}-leaves")
    assert files_with(stack.home, leaves.secret)
    report = leaves.leave()
    stack.kill("worker")  # the next one sweeps a second after its start
    # Objects go before rows: now the store has acknowledged that the photo's are deleted.
    until(lambda: stack.sql(f"SELECT count(*) FROM photos WHERE id = '{leaves.photo}'") == [[0]])
    before = control(stack)
    if interruption == "stop":
        stack.stop()
    else:
        stack.kill(interruption)
    if interruption != "object store":
        stack.start()
    else:
        # The sweep that was under way fails; the next one is five minutes away, or at the start of a worker.
        until(lambda: control(stack) not in ("", before))
        stack.kill("worker")
    until(lambda: stack.ask("GET", report).json()["finished_at"] is not None)
    assert files_with(stack.home, leaves.secret) == []
    assert stays.secret in stays.original()
    assert files_with(stack.home, stays.secret)
