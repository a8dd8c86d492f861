"""`make admin`: the first administrator, whose password nobody knew before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import product
from tests.api import client


def admin(email: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as make runs it."""
    path = os.pathsep.join([str(product.ROOT), str(product.ROOT / "layers/core")])
    return subprocess.run(
        [sys.executable, "-m", "local.admin", email],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=product.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("api")
def test_it_prints_a_password_that_signs_in() -> None:
    done = admin("boss@example.com")
    assert done.returncode == 0, done.stderr
    login = {"email": "boss@example.com", "password": done.stdout.splitlines()[-1]}
    answer = client().post("/auth/login", json=login)
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert client().get("/metrics", headers=headers).status_code == 200


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("email", ["boss", ""])
def test_what_is_no_address_is_said(email: str) -> None:
    done = admin(email)
    assert done.returncode == 1
    assert "@-sign" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_stack_it_says_what_to_do(tmp_path: Path) -> None:
    done = admin("boss@example.com", DATABASE_URL="", SAFELIGHT_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "make up" in done.stderr
    (tmp_path / "postgres.port").write_text("1")
    done = admin("boss@example.com", DATABASE_URL="", SAFELIGHT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
