"""`make env`: write .env with random secrets, from .env.example, and the same settings for `sam local`.

Needs Python's standard library alone, and nothing that runs: users of Docker need not prepare an environment.
"""

import json
import os
import secrets
import string
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def _hexadecimal() -> str:
    return secrets.token_hex(24)


SECRETS: dict[str, Callable[[], str]] = {
    # No character that means something in a URL, a shell or a file of Compose.
    "POSTGRES_PASSWORD": _hexadecimal,
    "DATA_PASSWORD": _hexadecimal,
    "VISITS_PASSWORD": _hexadecimal,
    "DOWNLOADS_PASSWORD": _hexadecimal,
    "PICTURES_PASSWORD": _hexadecimal,
    "JWT_SECRET": lambda: secrets.token_urlsafe(48),
    "S3_ACCESS_KEY": lambda: f"SAFELIGHT{secrets.token_hex(6).upper()}",
    "S3_SECRET_KEY": _hexadecimal,
}
EXAMPLE, WRITTEN = ".env.example", ".env"
SAM_EXAMPLE, SAM_WRITTEN = "events/sam-local.json", ".env.sam.json"


class Incomplete(ValueError):
    """A secret has no value. The text is for people."""


def fill(example: str, values: Mapping[str, str]) -> str:
    """The example with these values in place of its empty ones. Raises ValueError when it has no line for one."""
    lines = example.splitlines()
    for name, value in values.items():
        lines[lines.index(f"{name}=")] = f"{name}={value}"
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """The variables of such a file as Compose reads it: without quotes, and outside of these without ` #` comments."""
    found = {}
    for line in map(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            found[name.strip()] = value[1:-1] if quoted else value.partition(" #")[0].rstrip()
    return found


def sam(settings: str, example: str, written: str) -> str:
    """The settings for `sam local` with the values of `written`, or those of the example where it has none.

    Raises Incomplete.
    """
    defaults, given = parse(example), parse(written)
    values = {name: given.get(name) or default for name, default in defaults.items()}
    missing = [name for name in SECRETS if not values[name]]
    if missing:
        raise Incomplete(f"{WRITTEN} has no value for {', '.join(missing)}: set random ones, then run make env again")

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(inner) for name, inner in value.items()}
        return string.Template(value).substitute(values)

    return json.dumps(filled(json.loads(settings)), indent=2) + "\n"


def write(path: Path, text: str, *, replace: bool) -> None:
    """Write a file that its owner alone can read, whole or not at all. Raises FileExistsError unless `replace`."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # has mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        if replace:
            Path(name).replace(path)
        else:
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def main(root: Path) -> int:
    """Write .env below `root` unless it exists, then the file for `sam local` from it."""
    example = (root / EXAMPLE).read_text()
    try:
        write(root / WRITTEN, fill(example, {name: make() for name, make in SECRETS.items()}), replace=False)
        outcome = f"Wrote {WRITTEN} with random secrets"
    except FileExistsError:
        outcome = f"{WRITTEN} exists and was not changed: the database and the store know its secrets"
    try:
        settings = sam((root / SAM_EXAMPLE).read_text(), example, (root / WRITTEN).read_text())
    except (Incomplete, OSError) as error:
        sys.stderr.write(f"{outcome}.\n{SAM_WRITTEN} was not written. {error}\n")
        return 1
    write(root / SAM_WRITTEN, settings, replace=True)
    sys.stdout.write(f"{outcome}.\nWrote {SAM_WRITTEN}, the same settings for sam local. Keep both private.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
