"""`make admin` and `make invite`: the operator's commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import product
from tests.api import PASSWORD, client
from tests.functions.support import sql


def admin(*arguments: str, command: str = "admin", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as make runs it."""
    path = os.pathsep.join([str(product.ROOT), str(product.ROOT / "layers/core")])
    return subprocess.run(
        [sys.executable, "-m", f"local.{command}", *arguments],
        env={**os.environ, "PYTHONPATH": path, "DATABASE_URL": os.environ.get(product.OWNER_URL, ""), **environment},
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
def test_it_prints_a_key_for_monitoring_and_maintenance_when_asked() -> None:
    assert "sl_" not in admin("boss@example.com").stdout
    done = admin("boss@example.com", "--key")
    assert done.returncode == 0, done.stderr
    *_, key, _, password = done.stdout.splitlines()
    headers = {"X-API-Key": key}
    assert client().get("/metrics", headers=headers).status_code == 200
    assert client().get("/admin/users", headers=headers).status_code == 403
    assert client().get("/galleries", headers=headers).status_code == 403
    assert sql("SELECT scopes FROM api_keys") == [(["metrics", "operate"],)]
    login = {"email": "boss@example.com", "password": password}
    assert client().post("/auth/login", json=login).status_code == 200
    admin("boss@example.com")
    assert client().get("/metrics", headers=headers).status_code == 401


@pytest.mark.usefixtures("api")
def test_passwords_of_roles_that_are_not_whole_are_one_line() -> None:
    done = admin("boss@example.com", DATABASE_PASSWORDS='{"safelight_data": "x"}')
    assert done.returncode == 1
    assert "DATABASE_PASSWORDS must name exactly" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("registration", ["open", "closed"])
def test_an_administrator_is_made_whoever_may_register(registration: str) -> None:
    assert admin("boss@example.com", REGISTRATION=registration).returncode == 0


@pytest.mark.usefixtures("api")
def test_an_invitation_is_printed_that_opens_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    base = "https://photos.example"
    done = admin(" New@Example.com", command="invite", BASE_URL=base, REGISTRATION="invite")
    assert done.returncode == 0, done.stderr
    *_, url, code = done.stdout.splitlines()
    assert url == f"{base}/join#{code}"
    monkeypatch.setenv("REGISTRATION", "invite")
    product.forget()
    body = {"email": "new@example.com", "password": PASSWORD, "invitation": code}
    assert client().post("/auth/register", json=body).status_code == 201
    again = admin("new@example.com", command="invite", REGISTRATION="invite")
    assert (again.returncode, "/join#" in again.stdout) == (1, False)
    assert "exists already" in again.stderr


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    "environment", [{"REGISTRATION": "closed"}, {"REGISTRATION": "", "BASE_URL": "https://photos.example"}]
)
def test_nobody_is_invited_where_registration_is_closed(environment: dict[str, str]) -> None:
    done = admin("new@example.com", command="invite", **environment)
    assert (done.returncode, "/join#" in done.stdout) == (1, False)
    assert "REGISTRATION=invite" in done.stderr
    assert "Traceback" not in done.stderr
    assert sql("SELECT count(*) FROM invitations") == [(0,)]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("command", ["admin", "invite"])
@pytest.mark.parametrize("email", ["boss", ""])
def test_what_is_no_address_is_said(email: str, command: str) -> None:
    done = admin(email, command=command)
    assert done.returncode == 1
    assert "@-sign" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["admin", "invite"])
def test_without_a_stack_it_says_what_to_do(command: str, tmp_path: Path) -> None:
    done = admin("boss@example.com", command=command, DATABASE_URL="", SAFELIGHT_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "make up" in done.stderr
    (tmp_path / "postgres.port").write_text("1")
    done = admin("boss@example.com", command=command, DATABASE_URL="", SAFELIGHT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
