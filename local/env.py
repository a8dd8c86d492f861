"""`make env`: write .env with random secrets, from .env.example, and the same settings for `sam local`.

Needs Python's standard library alone, and nothing that runs: whoever uses Docker need not prepare an environment.
"""

import os
import secrets
import string
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


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


def fill(example: str, values: dict[str, str]) -> str:
    """The example with these values in place of its empty ones. Raises ValueError when it has no line for one."""
    lines = example.splitlines()
    for name, value in values.items():
        lines[lines.index(f"{name}=")] = f"{name}={value}"
    return "\n".join(lines) + "\n"


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
    """Write both files below `root`, unless there is a .env."""
    values = {name: make() for name, make in SECRETS.items()}
    try:
        write(root / WRITTEN, fill((root / EXAMPLE).read_text(), values), replace=False)
    except FileExistsError:
        sys.stderr.write(
            f"{WRITTEN} exists already and was not changed: the database and the store know its secrets.\n"
            "For new secrets move it away first, and change them there too.\n"
        )
        return 1
    settings = string.Template((root / SAM_EXAMPLE).read_text()).substitute(values)
    write(root / SAM_WRITTEN, settings, replace=True)
    sys.stdout.write(f"Wrote {WRITTEN} and, for sam local, {SAM_WRITTEN}, with random secrets. Keep them private.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
