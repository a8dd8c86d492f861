"""The product's own kind of streaming function: an echo, and an answer that is larger than any buffer on its way."""

import asyncio
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from safelight.web import bodies
from safelight.web.app import create_app
from safelight.web.caller import address

app = create_app("stream")
METHODS = ["GET", "HEAD", "POST", "PUT"]
bodies.LIMITS.update({f"{method} /streamed": 10 * bodies.MIB for method in METHODS})
PIECE = b"x" * 65536
PIECES = 16 * 64  # 64 MiB
left: list[str] = []


class Large(Response):
    """Streams until the end, or until the client leaves, as the product's archives do."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""

        async def pieces() -> None:
            length = str(len(PIECE) * PIECES).encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
            for number in range(PIECES):
                await send({"type": "http.response.body", "body": PIECE, "more_body": number + 1 < PIECES})
                await asyncio.sleep(0)  # as for the next bytes of the store

        async def leaving() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        tasks = [asyncio.create_task(pieces()), asyncio.create_task(leaving())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        left.append("finished" if tasks[0].done() else "left")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@app.api_route("/streamed", methods=METHODS)
async def echo(request: Request) -> dict[str, Any]:
    """What arrived."""
    return {
        "headers": sorted({*request.headers.keys()}),
        "client": address(request),
        "cookies": request.cookies,
        "size": len(await request.body()),
    }


@app.get("/large")
async def large() -> Response:
    """64 MiB."""
    return Large()


@app.get("/left")
async def ended() -> list[str]:
    """How each large answer ended."""
    return left
