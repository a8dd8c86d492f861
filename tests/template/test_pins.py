"""What is brought from outside is known by hash, and what `make pin` writes was seen."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local import pin
from tests.template import document

DIGEST = "sha256:" + "ab" * 32
COMMIT = "cd" * 20
COMPOSE = (document.ROOT / pin.COMPOSE).read_text()
WORKFLOW = (document.ROOT / pin.WORKFLOWS / "ci.yml").read_text()


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=document.ROOT, capture_output=True, text=True, check=True)
    return [document.ROOT / name for name in listed.stdout.split("\0") if name]


def test_every_installation_by_pip_demands_hashes() -> None:
    found = []
    for path in tracked():
        if path.suffix in (".sh", ".mk", ".yml", ".yaml") or path.name == "Makefile":
            text = path.read_text().replace("\\\n", " ")
            found += [(path.name, line) for line in text.splitlines() if re.search(r"pip3?( install| sync) ", line)]
    assert len(found) >= 5
    assert [line for line in found if "--require-hashes" not in line[1]] == []


def test_every_requirement_has_a_hash_and_no_file_names_an_index() -> None:
    for path in (document.ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        requirements = re.findall(r"^[\w.-]+==\S+.*(?:\n .*)*", text, re.MULTILINE)
        assert requirements, path
        assert all("--hash=sha256:" in one for one in requirements), path
        assert "://" not in text, path


def test_the_rewriting_finds_every_image_and_every_action() -> None:
    asked: list[tuple[str, ...]] = []

    def digest(image: str) -> str:
        asked.append((image,))
        return DIGEST

    def commit(action: str, tag: str) -> str:
        asked.append((action, tag))
        return COMMIT

    compose, workflow = (pin.pinned(text, digest, commit) for text in (COMPOSE, WORKFLOW))
    images = re.findall(r"image: .*", compose)
    assert len(images) == COMPOSE.count("image: ")
    assert all(line.endswith(f"@{DIGEST}}}") for line in images)
    actions = re.findall(r"uses: .*", workflow)
    assert len(actions) == WORKFLOW.count("uses: ")
    assert all(re.fullmatch(rf"uses: \S+@{COMMIT} # v[\d.]+", line) for line in actions)
    assert {one[0].partition(":")[0] for one in asked} == {
        "python", "postgres", "quay.io/minio/minio", "actions/checkout", "actions/setup-python"
    }  # fmt: skip
    # Once more changes nothing but the digests, and nothing else was changed.
    for before, after in ((COMPOSE, compose), (WORKFLOW, workflow)):
        assert pin.pinned(after, lambda _: DIGEST, lambda *_: COMMIT) == after
        plain = re.sub(rf"@({DIGEST}|{COMMIT} # )", lambda one: "@" if "#" in one[0] else "", after)
        unpinned = re.sub(r"@(sha256:[0-9a-f]{64}|[0-9a-f]{40} # )", lambda one: "@" if "#" in one[0] else "", before)
        assert plain == unpinned


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The two files, and a repository of each action with the tag that the workflow names."""
    (tmp_path / pin.WORKFLOWS).mkdir(parents=True)
    (tmp_path / pin.COMPOSE).write_text(COMPOSE)
    (tmp_path / pin.WORKFLOWS / "ci.yml").write_text(WORKFLOW)
    for name, tag in set(re.findall(r"uses: (\S+)@(?:[0-9a-f]{40} # )?(v[\d.]+)", WORKFLOW)):
        repository = tmp_path / "repositories" / name
        git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", "init", "--quiet", repository], check=True)
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", name], check=True)
        annotated = ["--annotate", "--message", "m"] if "python" in name else []
        subprocess.run([*git, "tag", *annotated, tag], check=True)
    return tmp_path


def docker(folder: Path, script: str) -> None:
    """A docker command that answers as this shell script does; it is found first."""
    program = folder / "bin" / "docker"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_pinning_asks_docker_and_git_and_writes_what_they_say(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(
        checkout, f"""case "$*" in buildx\\ imagetools\\ inspect*) echo '{{"digest": "{DIGEST}"}}';; *) exit 1;; esac"""
    )
    monkeypatch.setenv("PATH", f"{checkout / 'bin'}:{os.environ['PATH']}")
    repositories = checkout / "repositories"
    assert pin.main(checkout, str(repositories)) == 0
    assert (checkout / pin.COMPOSE).read_text().count(DIGEST) == COMPOSE.count("image: ")
    workflow = (checkout / pin.WORKFLOWS / "ci.yml").read_text()
    for name in ("actions/checkout", "actions/setup-python"):
        head = subprocess.run(
            ["git", "-C", str(repositories / name), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert f"{name}@{head} # v" in workflow


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'dial tcp: no such host' >&2; exit 1", "no such host"),
        ("echo '{}'", "was not found"),
        ('echo \'{"digest": "sha256:abc"}\'', "was not found"),
        ("echo 'Error'", "was not found"),
        (None, "docker could not be run"),
    ],
)
def test_a_registry_that_cannot_be_asked_leaves_every_file_as_it_is(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str | None, told: str
) -> None:
    (checkout / "bin").mkdir()
    if script is not None:
        docker(checkout, script)
    monkeypatch.setenv(
        "PATH", f"{checkout / 'bin'}:/nowhere" if script is None else f"{checkout / 'bin'}:{os.environ['PATH']}"
    )
    assert pin.main(checkout, str(checkout / "repositories")) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.endswith("Nothing was written.\n")
    assert ((checkout / pin.COMPOSE).read_text(), (checkout / pin.WORKFLOWS / "ci.yml").read_text()) == (
        COMPOSE,
        WORKFLOW,
    )


@pytest.mark.parametrize("repositories", ["https://127.0.0.1:9", "repositories/none"])
def test_an_action_that_cannot_be_asked_for_leaves_every_file_as_it_is(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, repositories: str
) -> None:
    docker(checkout, f"""echo '{{"digest": "{DIGEST}"}}'""")
    monkeypatch.setenv("PATH", f"{checkout / 'bin'}:{os.environ['PATH']}")
    assert pin.main(checkout, repositories) == 1
    assert ((checkout / pin.COMPOSE).read_text(), (checkout / pin.WORKFLOWS / "ci.yml").read_text()) == (
        COMPOSE,
        WORKFLOW,
    )


def test_a_tag_that_an_action_does_not_have_is_not_found(checkout: Path) -> None:
    with pytest.raises(pin.Unresolved, match=r"actions/checkout@v9\.9\.9 was not found"):
        pin.commit("actions/checkout", "v9.9.9", str(checkout / "repositories"))


UV = """#!/bin/sh
case "$1" in
    venv) for last; do :; done; mkdir -p "$last/bin" && ln -sf "$PYTHON" "$last/bin/python";;
    *) echo fake;;
esac
"""


@pytest.mark.parametrize("right", [True, False], ids=["the known file", "another file"])
def test_uv_is_brought_only_if_it_is_the_file_that_is_known(tmp_path: Path, right: bool) -> None:
    """From a folder in place of the registry; with another file, pip alone prepares the environment."""
    wheel = tmp_path / "wheels" / "uv-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        program = zipfile.ZipInfo("uv-1.0.data/scripts/uv")
        program.external_attr = 0o100755 << 16  # a regular file that may be run: pip keeps it so
        archive.writestr(program, UV)
        archive.writestr("uv-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 1.0\n")
        archive.writestr("uv-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("uv-1.0.dist-info/RECORD", "")
    known = hashlib.sha256(wheel.read_bytes() if right else b"another").hexdigest()
    for name in ("local", "requirements", "bin", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "local" / "environment.sh").write_bytes((document.ROOT / "local" / "environment.sh").read_bytes())
    (tmp_path / "requirements" / "bootstrap.txt").write_text(f"uv==1.0 --hash=sha256:{known}\n")
    (tmp_path / "requirements" / "none.txt").write_text("# nothing\n")
    (tmp_path / "bin" / "python3.13").symlink_to(Path(sys.executable).resolve())
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheel.parent),
        "PIP_CONFIG_FILE": os.devnull,
        "PYTHON": str(Path(sys.executable).resolve()),
    }
    command = ["sh", "local/environment.sh", "made", "requirements/none.txt"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / ".venv-tools" / "uv" / "bin" / "uv").exists() is right
    assert (tmp_path / "made" / "pyvenv.cfg").exists() is not right  # pip's way makes a real one
