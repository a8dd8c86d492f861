"""A child that was taken over, behind the product's own nursery, whose worker is root or an ordinary user."""

from pathlib import Path
from typing import Any

import pytest

from tests.core.pictures.samples import jpeg
from tests.core.sandbox.running import USERS, run

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="system calls of Linux")

MIB = 1024 * 1024
# What ends the process with SIGSYS; the rest answers an error.
TRIPWIRES = {
    "read a file by its handle", "read the parent's memory", "signal the parent", "signal everybody",
    "another program", "a namespace", "be root", "another filter",
}  # fmt: skip


@pytest.fixture(scope="module", params=USERS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `tests.core.sandbox.worker` found as this user."""
    picture = tmp_path_factory.mktemp("hostile") / "picture.jpg"
    picture.write_bytes(jpeg(700, 500))
    result = run("tests.core.sandbox.worker", request.param, picture)
    assert result["uid"] == request.param
    return result


def test_it_reads_changes_and_reaches_nothing(found: Any) -> None:
    attempts: dict[str, str] = found["attempts"]
    assert len(attempts) > 30
    expected = {name: "violation" if name in TRIPWIRES else "refused 1" for name in attempts}
    expected["live on after the parent"] = "refused 22"
    assert attempts == expected


def test_nothing_outside_is_different_afterwards(found: Any) -> None:
    assert found["changed"] == {}
    assert list(Path("/dev/shm").glob("safelight-*")) == []


def test_its_answer_costs_the_worker_at_most_64_mib(found: Any) -> None:
    answers: dict[str, dict[str, Any]] = found["answers"]
    assert {name: one["grown"] // MIB for name, one in answers.items() if one["grown"] > 64 * MIB} == {}
    assert answers.pop("swollen")["outcome"].startswith("rendered 23"), "the largest answer that is accepted"
    assert {one["outcome"] for one in answers.values()} == {answers["lists"]["outcome"]}
    assert "had to stop" in answers["lists"]["outcome"]


def test_breaking_out_is_told_from_a_crash(found: Any) -> None:
    assert found["violation"] == "SandboxViolation"
