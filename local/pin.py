"""`make pin`: write the digests of images and the commits of actions beside their version tags.

It asks the registries by the docker command and the actions' repositories by git, so it runs where the network allows.
Everything is asked before anything is written: a name that cannot be resolved leaves all files as they are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMPOSE, WORKFLOWS = "docker-compose.yml", ".github/workflows"
REPOSITORIES = "https://github.com"
SECONDS = 120.0
IMAGE = re.compile(
    r"^(?P<before> *image: (?:\$\{[A-Z0-9_]+:-)?)(?P<name>[a-z0-9][\w./-]*:[\w.-]+)"
    r"(?:@sha256:[0-9a-f]{64})?(?P<after>\}?)$",
    re.MULTILINE,
)
ACTION = re.compile(
    r"(?P<before>uses: )(?P<name>[\w.-]+/[\w.-]+)@(?:[0-9a-f]{40} # )?(?P<tag>v\d+\.\d+\.\d+)$", re.MULTILINE
)


class Unresolved(Exception):
    """A name could not be resolved; the message says which and why."""


def digest(image: str) -> str:
    """The digest of an image's index, `sha256:…`, from the registry that its name leads to. Raises Unresolved."""
    answer = _run("docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest}}")
    try:
        found = str(json.loads(answer)["digest"])
    except (ValueError, KeyError, TypeError):
        found = ""
    return _checked(image, found, r"sha256:[0-9a-f]{64}")


def commit(action: str, tag: str, repositories: str = REPOSITORIES) -> str:
    """The commit that an action's tag names, 40 digits. Raises Unresolved."""
    answer = _run("git", "ls-remote", f"{repositories}/{action}", f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}")
    names = {name: found for found, name in (line.split("\t") for line in answer.splitlines())}
    # An annotated tag is an object of its own; the second name is what it points to.
    found = names.get(f"refs/tags/{tag}^{{}}") or names.get(f"refs/tags/{tag}") or ""
    return _checked(f"{action}@{tag}", found, r"[0-9a-f]{40}")


def pinned(text: str, digest: Callable[[str], str], commit: Callable[[str, str], str]) -> str:
    """The text with a digest for each image and a commit for each action; their tags stay readable."""
    text = IMAGE.sub(lambda one: f"{one['before']}{one['name']}@{digest(one['name'])}{one['after']}", text)
    return ACTION.sub(
        lambda one: f"{one['before']}{one['name']}@{commit(one['name'], one['tag'])} # {one['tag']}", text
    )


def main(root: Path, repositories: str = REPOSITORIES) -> int:
    """Pin all files below `root`, or none."""
    files = [root / COMPOSE, *sorted((root / WORKFLOWS).glob("*.yml"))]
    try:
        texts = {
            path: pinned(path.read_text(), digest, lambda name, tag: commit(name, tag, repositories)) for path in files
        }
    except Unresolved as error:
        sys.stderr.write(f"{error}\nNothing was written.\n")
        return 1
    for path, text in texts.items():
        path.write_text(text)
    sys.stdout.write(f"Pinned {', '.join(str(path.relative_to(root)) for path in files)}.\n")
    return 0


def _run(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except OSError as error:
        raise Unresolved(f"{command[0]} could not be run ({error.strerror}). Install it first.") from error
    except subprocess.TimeoutExpired as error:
        raise Unresolved(f"`{' '.join(command)}` did not answer in {SECONDS:.0f} seconds.") from error
    if ended.returncode:
        raise Unresolved(f"`{' '.join(command)}` failed: {ended.stderr.strip() or 'it says nothing'}")
    return ended.stdout


def _checked(name: str, found: str, form: str) -> str:
    if not re.fullmatch(form, found):
        raise Unresolved(f"{name} was not found: there is no such tag, or the answer has another form.")
    return found


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
