"""`make admin EMAIL=…`: an administrator of this machine's stack, or of the database that DATABASE_URL names."""

from __future__ import annotations

import argparse
import sys

from local.operating import OperatorError, ask


def main() -> int:
    """Print the generated password, once, and with `--key` an API key; there is no default one anywhere."""
    parser = argparse.ArgumentParser(prog="make admin EMAIL=… [KEY=1]", description=__doc__)
    parser.add_argument("email")
    parser.add_argument("--key", action="store_true", help="print an API key for metrics and reprocessing too")
    given = parser.parse_args()
    try:
        made = ask({"admin": given.email, "key": given.key})
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 1
    if given.key:
        print(f"API key with the scopes metrics and operate, shown this once:\n{made['api_key']}")
    print(f"{given.email} is an administrator now. The password is shown this once:\n{made['password']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
