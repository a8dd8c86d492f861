"""`make admin EMAIL=…`: the first administrator of this machine's stack, or of the database that DATABASE_URL names."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from functions.migrate.app import handler
from local.home import Home
from local.postgres import Postgres
from safelight.errors import Unavailable


def main() -> int:
    """Print the generated password, once; there is no default one anywhere."""
    parser = argparse.ArgumentParser(prog="make admin EMAIL=…", description=__doc__)
    parser.add_argument("email")
    email = parser.parse_args().email
    if not os.environ.get("DATABASE_URL"):
        home = Home(Path(os.environ.get("SAFELIGHT_HOME") or ".safelight"))
        port = home.known_port("postgres")
        if port is None:
            print("Nothing was ever started here: run make up first", file=sys.stderr)
            return 1
        secrets = home.secrets()
        os.environ["DATABASE_URL"] = Postgres(home.directory / "postgres", port, secrets.database_password).url
    # Settings are whole or not at all; neither of these is used.
    for name in ("BUCKET", "JWT_SECRET"):
        os.environ.setdefault(name, "not-used-by-this-command")
    try:
        password = handler({"admin": email}, None)["password"]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except Unavailable:
        print("The database does not answer: is Safelight running (make up)?", file=sys.stderr)
        return 1
    print(f"{email} is an administrator now. The password is shown this once:\n{password}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
