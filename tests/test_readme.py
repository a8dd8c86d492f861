"""The README's tour works when it is pasted: its own blocks, in one shell, against `python -m local`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
TOUR_SECONDS = 120
HEADING = "## A tour in five minutes"


def tour() -> str:
    """Every bash block of the tour, in order."""
    _, _, rest = (ROOT / "README.md").read_text().partition(HEADING)
    section = rest.partition("\n## ")[0]
    blocks = re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`make up` on a free port, in a home of its own; its address."""
    home = tmp_path_factory.mktemp("tour-home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "DATABASE_"))}
    environment = kept | {"PORT": str(port), "SAFELIGHT_HOME": str(home), "BASE_URL": ""}
    said = home / "said"
    with said.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "local"], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + START_SECONDS
        while "is ready at" not in said.read_text():
            assert running.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(timeout=60)
    assert running.returncode == 0, said.read_text()


@pytest.fixture(scope="module")
def told(stack: str, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What the tour prints. The folder has the tests' own environment as `.venv`, whatever the checkout's is called."""
    folder = tmp_path_factory.mktemp("tour")
    (folder / ".venv").symlink_to(sys.prefix)
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", tour()],
        cwd=folder,
        env=os.environ | {"API": stack, "PATH": path, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )


def test_every_command_of_the_tour_succeeds(told: subprocess.CompletedProcess[str]) -> None:
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stderr == ""


def test_the_tour_shows_what_it_promises(told: subprocess.CompletedProcess[str]) -> None:
    lines = told.stdout.splitlines()
    assert "processing" in lines
    assert "ready" in lines
    assert "identical" in lines
    assert "first dance.jpg" in lines
    assert any(line.lower().startswith("content-length: ") for line in lines)
    assert any(line.startswith("SHA256SUMS.txt") for line in lines)
    [counted] = [json.loads(line) for line in lines if '"zip_downloads"' in line]
    assert (counted["views"], counted["single_downloads"], counted["zip_downloads"]) == (2, 1, 1)
    assert '{"count":1,"limit":null}' in lines
    assert lines[-1] == "first dance"
