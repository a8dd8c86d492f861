"""Does the time of an answer tell who has an account? Sign-in and refresh, known names against unknown ones.

`python -m bench.login` takes about five minutes, nearly all of it bcrypt at its full cost. The real Lambda handler is
asked with API Gateway events; the two of a pair take turns, and which goes first is drawn. The throttles are lifted,
which otherwise end such a measurement after ten tries. The verdict is about medians of wall-clock time, as somebody
outside would take them, without a network in between; on a busy machine they say nothing, and `--cpu` a little.

Unlocking is not here: a link's address already tells that the link exists, and its answer that it has a password. An
open link answers at once, a locked one after a comparison.
"""

import argparse
import json
import logging
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from bench.database import Database, database
from bench.measure import ROOT, median, verdict
from local.runtime import Context

MOST_MS = 5
PASSWORD, WRONG, LONG = "Correct-Horse-7", "Wrong-Horse-7", "x" * 1024
FORM = "application/x-www-form-urlencoded"

clock = time.perf_counter
"""What is measured; see `--cpu`."""

type Ask = Callable[[], float]


def ask(path: str, body: str, kind: str = "application/json") -> Ask:
    """A request to be timed, in milliseconds; it has to be refused."""
    from functions.accounts.app import handler

    event = json.loads((ROOT / "events" / "api_view.json").read_text())
    event |= {"httpMethod": "POST", "path": path, "resource": path, "body": body, "pathParameters": None}
    event |= {"headers": {"Content-Type": kind}, "multiValueHeaders": {"Content-Type": [kind]}}
    event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}

    def timed() -> float:
        started = clock()
        answer = handler(event, Context("accounts", 1024, time.monotonic() + 29))
        taken = (clock() - started) * 1000
        if answer["statusCode"] != 401:
            raise SystemExit(f"{path} answered {answer['statusCode']}: {answer['body']}")
        return taken

    return timed


def login(name: str, password: str) -> Ask:
    """A sign-in by JSON."""
    return ask("/auth/login", json.dumps({"email": name, "password": password}))


def token(name: str, password: str) -> Ask:
    """A sign-in by form."""
    return ask("/auth/token", urlencode({"username": name, "password": password}), FORM)


def refresh(given: str) -> Ask:
    """A refresh."""
    return ask("/auth/refresh", json.dumps({"refresh_token": given}))


def somebody(base: Database) -> tuple[str, str, str]:
    """The names of an account and of one that was shut out, and a refresh token that ran out."""
    from safelight.security import tokens
    from safelight.security.passwords import hash_password

    family, spent = uuid.uuid4(), tokens.make_refresh_token(uuid.uuid4(), 0, os.environ["JWT_SECRET"])
    for name, active in (("known@example.com", True), ("barred@example.com", False)):
        base.connection.run(
            "INSERT INTO users (id, email, password_hash, is_active) VALUES (gen_random_uuid(), :name, :hash, :active)",
            name=name, hash=hash_password(PASSWORD), active=active,
        )  # fmt: skip
    base.connection.run(
        "INSERT INTO refresh_tokens (id, user_id, family_id, generation, token_hash, expires_at)"
        " SELECT gen_random_uuid(), id, :family, 0, :hash, now() FROM users WHERE email = 'known@example.com'",
        family=family, hash=tokens.refresh_token_hash(spent),
    )  # fmt: skip
    return "known@example.com", "barred@example.com", spent


def lift_throttles() -> None:
    """For this process alone."""
    from safelight.accounts import limits
    from safelight.throttle import Rule

    for name in ("SIGN_IN_FROM_ADDRESS", "SIGN_IN_HERE", "SIGN_IN", "REFRESH"):
        rule = getattr(limits, name)
        setattr(limits, name, Rule(rule.name, 1_000_000, 3600))


def compare(title: str, pair: Mapping[str, Ask], pairs: int) -> bool:
    """Print one comparison; whether its difference is within the budget."""
    taken: dict[str, list[float]] = {name: [] for name in pair}
    for turn in range(pairs + 1):
        for name in random.sample(list(pair), len(pair)):
            milliseconds = pair[name]()
            if turn:  # the first warms up
                taken[name].append(milliseconds)
    (one, mine), (other, theirs) = ((name, median(values)) for name, values in taken.items())
    difference = abs(mine - theirs)
    print(f"\n{title}, {pairs} pairs")
    print(f"  {one:24} {mine:8.2f} ms")
    print(f"  {other:24} {theirs:8.2f} ms    ratio {mine / theirs:.3f}")
    print(f"  {difference:.2f} ms apart: {verdict(difference, most=MOST_MS)}")
    return difference <= MOST_MS


def main() -> None:
    """Print all figures; exit with 1 when a difference tells."""
    global clock
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--pairs", type=int, default=300, help="of sign-ins; the variants take a quarter as many")
    options.add_argument("--cpu", action="store_true", help="CPU time of this process, for a machine that is busy")
    arguments = options.parse_args()
    pairs = arguments.pairs
    if arguments.cpu:
        clock = time.process_time
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    with database() as base:
        known, barred, spent = somebody(base)
        lift_throttles()
        logging.disable(logging.CRITICAL)
        nobody, unknown = "nobody@example.com", "R" * 43
        few = max(pairs // 4, 1)
        held = [
            compare("sign-in", {"known": login(known, WRONG), "unknown": login(nobody, WRONG)}, pairs),
            compare("by form", {"known": token(known, WRONG), "unknown": token(nobody, WRONG)}, few),
            compare("shut out", {"right password": login(barred, PASSWORD), "unknown": login(nobody, PASSWORD)}, few),
            compare("a kilobyte", {"known": login(known, LONG), "unknown": login(nobody, LONG)}, few),
            compare("refresh", {"ran out": refresh(spent), "never was": refresh(unknown)}, pairs),
        ]
    print(f"\nload {os.getloadavg()[0]:.2f} at the end")
    raise SystemExit(not all(held))


if __name__ == "__main__":
    main()
