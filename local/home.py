"""The directory that holds everything a local stack knows: data, logs, secrets, ports. Other users cannot enter it."""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from local import private
from local.process import StartError

LOG_BYTES = 10 * 1024 * 1024
"""A log that grows larger makes room for a new one; one older is kept."""

_CONTENTS = ("objects", "postgres", "logs", "secrets.json", "lock", "postgres.port")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once for each home, so that sessions and signed addresses outlive a restart."""

    database_password: str
    access_key: str
    secret_key: str
    jwt_secret: str

    def role_password(self, role: str) -> str:
        """The password of a database role; the owner's cannot be derived from it."""
        return hmac.digest(self.database_password.encode(), f"role {role}".encode(), "sha256").hex()

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
        self._refuse_foreign()
        self.logs = private.make_folder(private.make_folder(self.directory) / "logs")
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Keep others out while this process lives. Raises StartError when one is in."""
        path = self.directory / "lock"
        path.touch(0o600)
        file = path.open("a+")
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
            private.refuse_foreign(path)
            return Secrets(**json.loads(path.read_text()))
        made = Secrets.generate()
        private.write(path, json.dumps(asdict(made)))
        return made

    def renew_store_keys(self) -> Secrets:
        """The home's secrets with a new key pair of the object store; signed addresses of the old one end."""
        made = Secrets.generate()
        renewed = replace(self.secrets(), access_key=made.access_key, secret_key=made.secret_key)
        private.write(self.directory / "secrets.json", json.dumps(asdict(renewed)))
        return renewed

    def remember_port(self, name: str, port: int) -> None:
        """Keep the port of a part for commands beside the running stack."""
        private.write(self.directory / f"{name}.port", str(port))

    def known_port(self, name: str) -> int | None:
        """The port that a part has, or had the last time; None before its first start."""
        path = self.directory / f"{name}.port"
        return int(path.read_text()) if path.exists() and path.read_text().isdigit() else None

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.logs / f"{name}.log"

    def limit_logs(self) -> None:
        """Replace logs that have grown too large, while programs write to them; one older log of each is kept.

        They write at the file's end, wherever that is (O_APPEND). What they write during the copy is lost.
        """
        for path in self.directory.glob("*/*.log"):
            if path.stat().st_size > LOG_BYTES:
                private.write(path.with_suffix(".log.1"), path.read_bytes())
                os.truncate(path, 0)

    def close(self) -> None:
        """Take from other users what an earlier version, or a part of the stack, left readable."""
        private.close(*(self.directory / name for name in _CONTENTS))

    def _refuse_foreign(self) -> None:
        """Raise StartError for a directory that others use as well: closing it would lock them out."""
        if not self.directory.is_dir() or (self.directory / "secrets.json").exists():
            return
        mode = self.directory.stat().st_mode
        if mode & stat.S_ISVTX or (mode & private.OTHERS and any(self.directory.iterdir())):
            raise StartError(
                f"{self.directory} holds other files, and Safelight closes its directory to other users. "
                "Choose a new or an empty one with SAFELIGHT_HOME."
            )
