"""Pages: a visitor's gallery of 1,000 photos against the usual stack, and lists at depth 999,000 of 1,000,000.

`python -m bench.pages` takes about two minutes. The gallery is asked of the real Lambda handler with an API Gateway
event, session token and all, as is its peer (`bench.naive`: SQLAlchemy rows, botocore, a response model, the same
driver), in turns within one run. CPU is this process's, warm; what the database spends for a request is printed beside
it, because the product lets it build JSON. Lists are timed end to end over one connection, first page and deep page
in turns, with OFFSET as the peer.
"""

import argparse
import asyncio
import base64
import json
import logging
import os
import secrets
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.database import Database, database
from bench.measure import ROOT, interleaved, median, verdict
from local.runtime import Context

PHOTOS = 1000
ROWS = 1_000_000
DEPTH = 999_000
MOST_MS, MOST_KB, MOST_RATIO = 25, 250, 2
TOKEN = secrets.token_urlsafe(675)  # about as long as those of a Lambda function, and as hard to compress

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def ask(handler: Handler, share: uuid.UUID) -> tuple[int, Any]:
    """One request for the page: bytes of the answer's body as it is sent, and the answer."""
    event = json.loads((ROOT / "events" / "api_view.json").read_text())
    event |= {
        "path": f"/s/{share}",
        "pathParameters": {"share_id": str(share)},
        "queryStringParameters": {"limit": str(PHOTOS)},
        "multiValueQueryStringParameters": {"limit": [str(PHOTOS)]},
    }
    answer = handler(event, Context("visits", 1024, time.monotonic() + 29))
    assert answer["statusCode"] == 200, answer
    body = answer["body"]
    content = base64.b64decode(body) if answer["isBase64Encoded"] else body.encode()
    return len(content), content


def cpu(handler: Handler, share: uuid.UUID) -> float:
    """Milliseconds of this process's CPU for one request."""
    start = time.process_time()
    ask(handler, share)
    return (time.process_time() - start) * 1000


def page(base: Database, rounds: int) -> bool:
    """Print the gallery's comparison; whether the budgets hold."""
    from bench.naive import make_handler
    from functions.visits.app import handler
    from safelight.telemetry import logger

    # One line a request is written as always, to nowhere.
    lines = logger().registered_handler
    assert isinstance(lines, logging.StreamHandler)
    lines.setStream(Path(os.devnull).open("w"))  # noqa: SIM115 - open as long as the process
    share = base.share(base.gallery(base.owner(), PHOTOS))
    base.settle()
    naive = make_handler()
    handlers: dict[str, Handler] = {"ours": handler, "naive": naive}
    results = interleaved({name: partial(cpu, each, share) for name, each in handlers.items()}, rounds)
    spent = {}
    for name, each in handlers.items():
        before = base.cpu()
        for _ in range(rounds):
            ask(each, share)
        spent[name] = (base.cpu() - before) / rounds * 1000
    sizes = {name: ask(each, share)[0] for name, each in handlers.items()}
    print(f"\nGET /s/{{id}} with {PHOTOS} photos, {2 * PHOTOS} signed URLs, through the Lambda handler")
    for name, values in results.items():
        print(
            f"  {name:6} {median(values):8.1f} ms CPU (least {min(values):.1f}),"
            f" {spent[name]:5.1f} ms in the database, {sizes[name] / 1000:8.1f} kB sent"
        )
    mine, peer = median(results["ours"]), median(results["naive"])
    print(f"  ratio  {peer / mine:8.1f} x less CPU, {sizes['naive'] / sizes['ours']:.1f} x fewer bytes")
    print(f"  CPU: {verdict(mine, most=MOST_MS)} ms; sent: {verdict(sizes['ours'] / 1000, most=MOST_KB)} kB")
    return mine <= MOST_MS and sizes["ours"] / 1000 <= MOST_KB


def milliseconds(work: Callable[..., object], *arguments: object) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - start) * 1000


def depth(base: Database, rounds: int) -> bool:
    """Print the lists' comparison; whether the budgets hold."""
    from safelight import storage
    from safelight.db import driver
    from safelight.db.engine import transaction
    from safelight.galleries import service as galleries
    from safelight.pages import encode_cursor
    from safelight.photos import service as photos
    from safelight.shares import visits

    owner = base.owner()
    gallery = base.gallery(owner, ROWS)
    share = base.share(gallery)
    base.galleries(owner, ROWS)
    base.settle()
    at = base.connection.run(
        f"SELECT position, id FROM photos WHERE gallery_id = '{gallery}' ORDER BY position, id OFFSET {DEPTH} LIMIT 1"
    )[0]
    made = base.connection.run(
        f"SELECT created_at, id FROM galleries WHERE owner_id = '{owner}'"
        f" ORDER BY created_at DESC, id DESC OFFSET {DEPTH} LIMIT 1"
    )[0]
    deep = {"photos": encode_cursor(*at), "galleries": encode_cursor(made[0].isoformat(), made[1])}

    def photo_page(cursor: str | None) -> None:
        with transaction() as session:
            assert len(photos.list_page(session, gallery, 50, cursor, None, None).items) == 50

    def gallery_page(cursor: str | None) -> None:
        with transaction() as session:
            assert len(galleries.list_page(session, owner, 50, cursor).items) == 50

    def visitor_page(cursor: str | None) -> None:
        with driver.connection() as connection:
            found = visits.find(connection, str(share))
            listed = visits.listing(connection, storage.signer(), found, 50, cursor)
            assert listed.count(b'"photo_id"') == 50

    def offset() -> None:
        base.connection.run(
            f"SELECT * FROM photos WHERE gallery_id = '{gallery}' AND deleted_at IS NULL"
            f" ORDER BY position, id OFFSET {DEPTH} LIMIT 50"
        )

    held = []
    print(f"\npage of 50 at depth {DEPTH:,} of {ROWS:,} rows; OFFSET there: {milliseconds(offset):.0f} ms")
    lists = {
        "a gallery's photos, for its owner": (photo_page, deep["photos"]),
        "an owner's galleries": (gallery_page, deep["galleries"]),
        "a link's photos, for a visitor": (visitor_page, deep["photos"]),
    }
    for name, (work, cursor) in lists.items():
        results = interleaved(
            {"first": partial(milliseconds, work, None), "deep": partial(milliseconds, work, cursor)}, 3 * rounds
        )
        first, later = median(results["first"]), median(results["deep"])
        held.append(later / first <= MOST_RATIO)
        print(f"  {name:34} first {first:6.2f} ms, deep {later:6.2f} ms: {verdict(later / first, most=MOST_RATIO)} x")
    return all(held)


def main() -> None:
    """Print all figures; exit with 1 when a budget is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=15)
    rounds = options.parse_args().rounds
    asyncio.set_event_loop(asyncio.new_event_loop())  # Mangum asks for one
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {rounds} rounds")
    with database(token=TOKEN) as base:
        held = [page(base, rounds), depth(base, rounds)]
    print(f"load {os.getloadavg()[0]:.2f} at the end")
    raise SystemExit(not all(held))


if __name__ == "__main__":
    main()
