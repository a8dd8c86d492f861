"""What refusing a hostile body costs: the largest accepted body of several shapes against every route that takes one.

`python -m bench.refusals` takes about three minutes. Each request goes through the local gateway into the real Lambda
handlers, in a process that does nothing else. CPU is that of the process, with threads that have ended; memory is the
peak of resident bytes above what the process had before the request, after the heap was given back to the system.
The same bodies go to a peer: FastAPI and pydantic with `extra="forbid"`, without limits, called by Mangum.
Exits with 1 when a route is over the budget.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ctypes
import gc
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel, ConfigDict

from bench.database import Database, database
from bench.hostile import JSON, against
from bench.measure import MIB, ROOT, median, peak_rss, reset_peak, rss
from local.gateway import Gateway
from local.template import Template
from safelight.web.bodies import LIMITS, limit_of

MOST_MS, MOST_MIB = 50, 20
ROUNDS = 5
PIECE = 64 * 1024
"""Bytes of a body that a server hands over at once, as uvicorn does."""

COMPARED = ("unknown fields", "unknown in items", "10 MiB")
"""What the peer is asked too: it takes up to half a minute for one."""

PERSON = json.dumps({"email": "anna@example.com", "password": "Correct-Horse-7"}).encode()

type Ask = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Front:
    """The gateway, and what a request to it needs."""

    gateway: Gateway
    things: dict[str, str]
    token: str

    def call(self, route: str, body: bytes, kind: str = JSON) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        method, _, path = route.partition(" ")
        headers = [
            (b"host", b"127.0.0.1"),
            (b"content-type", kind.encode()),
            (b"authorization", f"Bearer {self.token}".encode()),
        ]
        return asyncio.run(self._send(method, path.format(**self.things), headers, body))

    def signed_in(self) -> Front:
        """The same with a new access token: one lasts 15 minutes."""
        status, body = self.call("POST /auth/login", PERSON)
        assert status == 200, body
        return replace(self, token=json.loads(body)["access_token"])

    def ask(self, route: str, body: bytes, kind: str) -> Ask:
        """That request, to be made as often as wanted; it gives the status."""
        return lambda: self.call(route, body, kind)[0]

    async def _send(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes]:
        pieces, sent = _pieces(body), list[Any]()

        async def receive() -> dict[str, Any]:
            piece, more = next(pieces)
            return {"type": "http.request", "body": piece, "more_body": more}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "path": path, "query_string": b"", "headers": headers,
            "client": ("192.0.2.7", 4711), "server": ("127.0.0.1", 80), "scheme": "http",
        }  # fmt: skip
        await self.gateway(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]


def _pieces(body: bytes) -> Iterator[tuple[bytes, bool]]:
    # Without an announced length, which would be refused at once.
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE], start + PIECE < len(body)


class Photo(BaseModel):
    """As the product's."""

    model_config = ConfigDict(extra="forbid")
    filename: str
    file_size: int
    tags: list[str] = []


class Anything(BaseModel):
    """A body with one of each kind of field that the product's bodies have."""

    model_config = ConfigDict(extra="forbid")
    title: str
    tags: list[str] = []
    photos: list[Photo] = []
    settings: dict[str, str] = {}


def peer() -> Callable[[bytes], Ask]:
    """FastAPI and pydantic as they come, called as Lambda would."""
    app = FastAPI(openapi_url=None)

    @app.post("/anything")
    def anything(_body: Anything) -> None: ...

    mangum = Mangum(app, lifespan="off")
    event = json.loads((ROOT / "events" / "api_view.json").read_text())
    event |= {"httpMethod": "POST", "path": "/anything", "resource": "/anything", "queryStringParameters": None}
    event |= {"headers": {}, "multiValueHeaders": {"Content-Type": ["application/json"]}, "isBase64Encoded": True}
    event |= {"multiValueQueryStringParameters": None}
    loop = asyncio.new_event_loop()

    def asker(body: bytes) -> Ask:
        def asked() -> int:
            asyncio.set_event_loop(loop)
            given = {**event, "body": base64.b64encode(body).decode()}
            return int(mangum(given, None)["statusCode"])  # type: ignore[arg-type]  # it asks nothing of the context

        return asked

    return asker


# ---------------------------------------------------------------- figures


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of a request: milliseconds of CPU and MiB above what was there; `status` is what was answered."""

    cpu: float
    memory: float
    status: int


def cost(ask: Ask, rounds: int) -> Cost:
    """Of `rounds` requests after one that warms up."""
    libc, own = ctypes.CDLL(None), os.getpid()
    taken: list[float] = []
    grown: list[float] = []
    status = 0
    for turn in range(rounds + 1):
        gc.collect()
        libc.malloc_trim(0)
        reset_peak(own)
        before, started = rss(own), time.process_time()
        status = ask()
        if turn:
            taken.append((time.process_time() - started) * 1000)
            grown.append((peak_rss(own) - before) / MIB)
    return Cost(median(taken), median(grown), status)


def main() -> None:
    """Print all figures; exit with 1 when one is over the budget."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=ROUNDS, help="requests of which the median is taken")
    options.add_argument("--route", default="", help="only routes whose name holds this")
    arguments = options.parse_args()
    held = True
    with database() as base:
        logging.disable(logging.CRITICAL)
        front, owner = _front(base), peer()
        gc.freeze()  # what is there already need not be looked at again
        print(f"{'':44} {'size':>9} {'status':>6} {'CPU':>9} {'memory':>9}   peer: CPU, memory, ratio of CPU")
        peers: dict[tuple[str, int], Cost] = {}
        for route in sorted(LIMITS):
            if arguments.route not in route:
                continue
            print(route)
            front = front.signed_in()
            for name, kind, body in against(route, limit_of(*route.split(" ", 1))):
                found = cost(front.ask(route, body, kind), arguments.rounds)
                over = found.cpu > MOST_MS or found.memory > MOST_MIB or found.status not in (400, 413, 415, 422)
                held = held and not over
                line = f"  {name:42} {len(body):9,} {found.status:6} {found.cpu:6.1f} ms {found.memory:5.1f} MiB"
                if name in COMPARED:
                    key = name, len(body)
                    theirs = peers[key] = peers.get(key) or cost(owner(body), 1)
                    line += f"   {theirs.cpu:7.1f} ms {theirs.memory:6.1f} MiB  {theirs.cpu / found.cpu:6.1f}"
                print(line + ("  OVER THE BUDGET" if over else ""))
        front.gateway.close()
    print(f"\n{'Meets' if held else 'MISSES'} the budget of {MOST_MS} ms of CPU and {MOST_MIB} MiB a request")
    raise SystemExit(not held)


def _front(base: Database) -> Front:
    """A photographer who is an administrator, with one of everything that routes name."""
    gateway = Gateway(Template(ROOT / "template.yaml"), concurrency=1, limit_of=limit_of)
    front = Front(gateway, {}, "")
    status, body = front.call("POST /auth/register", PERSON)
    assert status == 201, body
    base.connection.run("UPDATE users SET is_admin = true")
    [[owner]] = base.connection.run("SELECT id FROM users")
    gallery = base.gallery(owner, 1)
    [[photo]] = base.connection.run("SELECT id FROM photos")
    things = {"gallery_id": gallery, "photo_id": photo, "share_id": base.share(gallery), "user_id": owner}
    return replace(front, things={name: str(value) for name, value in things.items()})


if __name__ == "__main__":
    main()
