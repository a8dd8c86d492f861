"""Bring the database's tables up to date before the functions use them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pg8000.exceptions import DatabaseError

from local.connect import connect
from local.process import StartError


def migrate(environment: Mapping[str, str], root: Path, log: Path) -> None:
    """Run Alembic, unless the database is at the newest revision: loading it all takes a second.

    `environment` is the product's, `root` the repository. Raises StartError.
    """
    if at_head(environment["DATABASE_URL"], root):
        return
    command = [sys.executable, "-m", "alembic", "--config", str(root / "alembic.ini"), "upgrade", "head"]
    done = subprocess.run(command, env=dict(environment), cwd=root, capture_output=True, text=True, check=False)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise StartError(f"the database could not be migrated:\n{done.stderr[-2000:]}")


def at_head(database_url: str, root: Path) -> bool:
    """Whether the database's revision is the only one that no other migration follows."""
    named: dict[str, set[str]] = {"": set(), "down_": set()}
    for path in (root / "migrations" / "versions").glob("*.py"):
        for prefix, value in re.findall(r"(?m)^(down_)?revision\b.*=(.*)$", path.read_text()):
            named[prefix].update(re.findall(r"""["'](\w+)["']""", value))
    connection = connect(database_url)
    try:
        rows = connection.run("SELECT version_num FROM alembic_version")
    except DatabaseError:
        return False  # no such table yet
    finally:
        connection.close()
    return {row[0] for row in rows} == named[""] - named["down_"]
