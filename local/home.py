"""The directory that holds everything a local stack knows: data, logs, secrets, ports."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from local.process import StartError, free_ports, is_free

LOG_BYTES = 10 * 1024 * 1024
"""A log larger than this at the start makes room for a new one; one older is kept."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once for each home, so that sessions and signed addresses outlive a restart."""

    database_password: str
    access_key: str
    secret_key: str
    jwt_secret: str

    @classmethod
    def generate(cls) -> Secrets:
        """Random ones."""
        return cls(
            database_password=secrets.token_hex(16),
            access_key=f"LOCAL{secrets.token_hex(8).upper()}",
            secret_key=secrets.token_hex(20),
            jwt_secret=secrets.token_urlsafe(48),
        )


class Home:
    """A home directory, created when missing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.logs = self.directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Keep others out while this process lives. Raises StartError when one is in."""
        file = (self.directory / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise StartError(
                f"Safelight runs already with {self.directory} (process {holder}). "
                "Stop it, or choose another directory with SAFELIGHT_HOME."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def secrets(self) -> Secrets:
        """The home's secrets, readable by the owner alone."""
        path = self.directory / "secrets.json"
        if path.exists():
            return Secrets(**json.loads(path.read_text()))
        made = Secrets.generate()
        # written whole, then named: a kill between leaves no half of a file
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.touch(0o600)
        draft.write_text(json.dumps(asdict(made)))
        draft.rename(path)
        return made

    def port(self, name: str) -> int:
        """The port that `name` had the last time if it is free, else another that is."""
        known = self.known_port(name)
        if known is not None and is_free(known):
            return known
        (port,) = free_ports(1)
        (self.directory / f"{name}.port").write_text(str(port))
        return port

    def known_port(self, name: str) -> int | None:
        """The port that `name` had the last time, or has now."""
        path = self.directory / f"{name}.port"
        return int(path.read_text()) if path.exists() and path.read_text().isdigit() else None

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.rename(path.with_suffix(".log.1"))
        return path
