"""What the programs of this machine say about settings that cannot be used: the message alone, and no value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.process import free_ports

ROOT = Path(__file__).resolve().parents[2]
SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"
GIVEN = {"DATABASE_URL": f"postgres://u:{SECRET}@127.0.0.1:1/x", "JWT_SECRET": SECRET, "BUCKET": "b"}
PROGRAMS = {
    "local.worker": (),
    "local.gateway": ("--fd", "0"),
    "local.admin": ("a@example.com",),
}


def run(program: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'core'}", "SAFELIGHT_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", program, *PROGRAMS.get(program, ())],
        cwd=ROOT, env=inherited | paths | GIVEN | environment,
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_public_address_without_a_trusted_proxy_is_warned_of(tmp_path: Path) -> None:
    """Before anything can fail; here the database does."""
    public = {"BASE_URL": "https://photos.example", "S3_ENDPOINT": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a"}
    public |= {"AWS_SECRET_ACCESS_KEY": "b", "PORT": str(*free_ports(1))}
    said = {
        proxies: run("local", tmp_path / "home", **public, TRUSTED_PROXIES=proxies).stdout
        for proxies in ("", "127.0.0.1")
    }
    assert "Warning: BASE_URL is https://photos.example, but TRUSTED_PROXIES is not set. " in said[""]
    assert "Set TRUSTED_PROXIES to the proxy's address" in said[""]
    assert "TRUSTED_PROXIES" not in said["127.0.0.1"]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        pytest.param(
            "SANDBOX", "platform", "SANDBOX=platform is for Lambda and macOS",
            marks=pytest.mark.skipif("sys.platform != 'linux'", reason="allowed elsewhere"),
        ),
        ("DATABASE_POOL", "hunter2", "DATABASE_POOL: Input should be a valid integer"),
        ("TRUSTED_PROXIES", "10.0.0.1, hunter2", "TRUSTED_PROXIES: entry 2 is neither an address nor a network"),
        ("TRUSTED_PROXIES", "::/0", "TRUSTED_PROXIES: entry 1 is every address"),
        ("ORIGIN_SECRET", "hunter2", "ORIGIN_SECRET must be a random value of 32 characters or more"),
        ("ORIGIN_SECRET", f"{SECRET},hunter2", "ORIGIN_SECRET must be a random value of 32 characters or more"),
    ],
)  # fmt: skip
def test_a_program_ends_with_the_message_alone(program: str, name: str, value: str, told: str, tmp_path: Path) -> None:
    ended = run(program, tmp_path, **{name: value})
    assert ended.returncode == 1
    assert ended.stderr.startswith(told)
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr + ended.stdout


def test_the_gateway_does_not_start_without_the_key_of_tokens(tmp_path: Path) -> None:
    done = run("local.gateway", tmp_path, JWT_SECRET="")
    assert done.returncode == 1
    assert done.stderr.strip() == "JWT_SECRET is not set, but this function signs or checks tokens: set it"
