"""`make invite EMAIL=…`: an invitation to this machine's stack, or to the database that DATABASE_URL names."""

from __future__ import annotations

import argparse
import sys

from local.operating import OperatorError, ask


def main() -> int:
    """Print the invitation's address and code, once. BASE_URL and REGISTRATION are read as `make up` reads them."""
    parser = argparse.ArgumentParser(prog="make invite EMAIL=…", description=__doc__)
    parser.add_argument("email")
    email = parser.parse_args().email
    try:
        made = ask({"invite": email})
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{email} may open an account until {made['expires_at'][:16].replace('T', ' ')} UTC. Shown this once:")
    print(f"{made['url']}\n{made['code']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
