"""docker-compose.yml, read and not run: there need be no Docker on the machine that runs the tests."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from typing import Any

import boto3
import pytest
import yaml
from alembic.config import Config
from alembic.script import ScriptDirectory

from local.bucket import REGION
from local.objectstore import ObjectStore
from safelight.config import Settings
from tests.template import document

MINIO = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
OURS = ("setup", "downloads", "worker")
# Read by the start script, Python and the shell; not by safelight.config.
FOREIGN = {"PYTHONPATH", "PATH", "HOST"}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((document.ROOT / "docker-compose.yml").read_text())
    return loaded


def default(value: str) -> str:
    """What Compose makes of `${NAME:-value}` when nobody sets NAME."""
    return re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", value)


def settings_of(service: str) -> dict[str, str]:
    environment: dict[str, str] = compose()["services"][service]["environment"]
    return {name: default(value) for name, value in environment.items() if name not in FOREIGN}


def test_the_store_is_minio_and_can_be_another() -> None:
    store = compose()["services"]["s3"]
    assert store["image"] == f"${{S3_IMAGE:-{MINIO}}}"
    assert store["command"].startswith("${S3_COMMAND:-server ")


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_the_settings_load(service: str) -> None:
    given = settings_of(service)
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    loaded = Settings.from_environment(given)
    assert loaded.s3_endpoint == "http://s3:9000"
    assert loaded.s3_public_endpoint == "http://127.0.0.1:9000"
    assert loaded.database_url.get_secret_value() == "postgresql://safelight:safelight@db:5432/safelight"


def test_every_service_of_ours_has_the_same_settings() -> None:
    first, *others = [settings_of(service) for service in OURS]
    assert all(other == first for other in others)


def test_sam_local_runs_with_the_same_settings() -> None:
    theirs: dict[str, str] = json.loads((document.ROOT / "events" / "sam-local.json").read_text())["Parameters"]
    assert theirs == settings_of("worker")


def test_the_parts_hold_what_the_settings_say() -> None:
    services = compose()["services"]
    database = services["db"]["environment"]
    loaded = Settings.from_environment(settings_of("worker"))
    secret = default(database["POSTGRES_PASSWORD"])
    expected = f"postgresql://{database['POSTGRES_USER']}:{secret}@db:5432/{database['POSTGRES_DB']}"
    assert loaded.database_url.get_secret_value() == expected
    store = services["s3"]["environment"]
    for user, password in (("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"), ("RUSTFS_ACCESS_KEY", "RUSTFS_SECRET_KEY")):
        assert default(store[user]) == loaded.aws_access_key_id
        assert loaded.aws_secret_access_key is not None
        assert default(store[password]) == loaded.aws_secret_access_key.get_secret_value()


def test_nothing_listens_beyond_this_machine() -> None:
    for name, service in compose()["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_the_public_endpoint_is_published() -> None:
    assert "127.0.0.1:9000:9000" in compose()["services"]["s3"]["ports"]


def test_services_wait_for_what_they_need() -> None:
    services = compose()["services"]
    assert services["setup"]["depends_on"]["db"] == {"condition": "service_healthy"}
    assert "healthcheck" in services["db"]
    for service in ("downloads", "worker"):
        assert services[service]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}


def test_what_the_services_start_exists() -> None:
    services = compose()["services"]
    folder = services["downloads"]["working_dir"].removeprefix("/srv/safelight/")
    assert services["downloads"]["command"] == ["sh", "run.sh"]
    assert (document.ROOT / folder / "run.sh").is_file()
    flag, module = services["worker"]["command"][1:]
    assert flag == "-m"
    assert importlib.util.find_spec(module) is not None
    script = services["setup"]["command"][2]
    for path in re.findall(r"requirements/\S+\.txt", script):
        assert (document.ROOT / path).is_file()
    assert ScriptDirectory.from_config(Config(document.ROOT / "alembic.ini")).get_current_head()


def test_images_are_pinned_to_a_version() -> None:
    for name, service in compose()["services"].items():
        image = default(service["image"])
        assert re.search(r":(RELEASE\.)?\d", image), f"{name}: {image}"


def test_the_setup_script_is_shell() -> None:
    script = compose()["services"]["setup"]["command"][2]
    subprocess.run(["sh", "-n", "-c", script], check=True)


def test_the_setup_program_makes_the_bucket_once(object_store: ObjectStore) -> None:
    """The part of the setup that talks to the store, taken from the file and run."""
    script = compose()["services"]["setup"]["command"][2]
    program = script.split("<<'PROGRAM'\n", 1)[1].split("PROGRAM\n", 1)[0]
    environment = os.environ | {
        "AWS_REGION": REGION,
        "S3_ENDPOINT": object_store.endpoint,
        "BUCKET": "made-by-compose",
        "AWS_ACCESS_KEY_ID": object_store.access_key,
        "AWS_SECRET_ACCESS_KEY": object_store.secret_key,
    }
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=90)
    client = boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=object_store.endpoint,
        aws_access_key_id=object_store.access_key,
        aws_secret_access_key=object_store.secret_key,
    )
    assert "made-by-compose" in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
    client.delete_bucket(Bucket="made-by-compose")
    client.close()
