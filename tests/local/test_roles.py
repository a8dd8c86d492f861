"""Who of the local stack gets which secrets."""

from __future__ import annotations

import json

import pytest

from local import roles
from local.home import Secrets
from local.postgres import Postgres
from local.process import StartError
from local.template import Template
from safelight.config import Settings
from safelight.roles.privileges import DATA, DOWNLOADS, PICTURES, SHARES, VISITS
from tests import product

TEMPLATE = Template(product.ROOT / "template.yaml")
OWNER = "postgresql://safelight:owner@127.0.0.1:5432/safelight"
COMMON = {"DATABASE_URL": OWNER, "JWT_SECRET": "of-tokens", "BUCKET": "b"}
KNOWN = {role: f"{role}-password" for role in SHARES}


def configured(**more: str) -> Settings:
    return Settings.from_environment(COMMON | more)


def test_every_function_of_the_template_has_a_role_but_the_two_called_by_hand() -> None:
    found = {name: function.role for name, function in TEMPLATE.functions().items()}
    assert {name for name, role in found.items() if role not in SHARES} == {"MigrateFunction", "ProbePlatformFunction"}
    assert (found["MigrateFunction"], found["ProbePlatformFunction"]) == ("safelight", "")


def test_gateway_and_worker_know_the_passwords_of_their_own_functions() -> None:
    gateway, worker = roles.environments(COMMON, TEMPLATE, KNOWN)
    assert set(json.loads(gateway["DATABASE_PASSWORDS"])) == {DATA, VISITS, DOWNLOADS}
    assert set(json.loads(worker["DATABASE_PASSWORDS"])) == {DATA, PICTURES}
    for environment in (gateway, worker):
        assert environment["DATABASE_URL"].startswith(f"postgresql://{DATA}:{KNOWN[DATA]}@127.0.0.1:5432/")
        assert ":owner@" not in repr(environment)
    assert gateway["JWT_SECRET"] == "of-tokens"
    assert "JWT_SECRET" not in worker


def test_a_database_of_ones_own_goes_on_as_before_unless_passwords_are_given() -> None:
    assert roles.passwords(configured(), None) == {}
    assert roles.environments(COMMON, TEMPLATE, {}) == (COMMON, COMMON)
    assert roles.passwords(configured(DATABASE_PASSWORDS=json.dumps(KNOWN)), None) == KNOWN


def test_a_home_has_passwords_without_a_new_file_and_none_tells_the_owners() -> None:
    secrets = Secrets.generate()
    found = roles.passwords(configured(), secrets)
    assert set(found) == set(SHARES)
    assert len(set(found.values())) == len(SHARES)
    assert found == roles.passwords(configured(), secrets), "the same at each start"
    assert not any(secrets.database_password in password for password in found.values())
    assert found != roles.passwords(configured(), Secrets.generate())


def test_roles_that_cannot_be_made_are_an_error_of_the_start(postgres: Postgres) -> None:
    with pytest.raises(StartError, match="DATABASE_PASSWORDS must name exactly"):
        roles.install(postgres.url, {VISITS: "x"})
