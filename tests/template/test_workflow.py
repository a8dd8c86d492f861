"""The workflow runs what the README tells people to run, and only targets that exist."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.template import document


def jobs() -> dict[str, Any]:
    loaded = yaml.safe_load((document.ROOT / ".github" / "workflows" / "ci.yml").read_text())
    found: dict[str, Any] = loaded["jobs"]
    return found


def commands(job: str) -> str:
    return "\n".join(step["run"] for step in jobs()[job]["steps"] if "run" in step)


def test_a_fresh_linux_and_a_fresh_mac_run_the_two_commands() -> None:
    machines = jobs()["fresh-machine"]["strategy"]["matrix"]["os"]
    assert any(machine.startswith("ubuntu") for machine in machines)
    assert any(machine.startswith("macos") and not machine.endswith("-intel") for machine in machines)
    run = commands("fresh-machine")
    assert "make up" in run
    assert "/health" in run
    assert re.search(r"^make test$", run, re.MULTILINE)
    # Nothing is installed for the first but Python; for the second the programs that the tests compare with.
    assert not re.search(r"\b(apt-get|brew|pip install)\b", run.partition("/health")[0])
    assert not re.search(r"\bpip install\b", run)


def test_every_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (document.ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in jobs():
        assert set(re.findall(r"^\s*make ([a-z]+)", commands(job), re.MULTILINE)) <= targets


def test_the_workflow_may_only_read() -> None:
    loaded = yaml.safe_load((document.ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert loaded["permissions"] == {"contents": "read"}
    for job in loaded["jobs"].values():
        assert job["timeout-minutes"] <= 30


def test_actions_carry_a_full_version() -> None:
    for job in jobs().values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w.-]+/[\w.-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", step["uses"]), step["uses"]
