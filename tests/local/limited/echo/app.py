"""The product's own kind of buffered function; it answers with the headers and the size of the body that it got."""

from typing import Any

from fastapi import Request

from safelight.web import bodies
from safelight.web.app import create_app, lambda_handler
from safelight.web.caller import address

app = create_app("echo")
METHODS = ["GET", "HEAD", "POST", "PUT"]
# "ANY" is the method that the template gives the route.
bodies.LIMITS.update({f"{method} /buffered": 10 * bodies.MIB for method in (*METHODS, "ANY")})


@app.api_route("/buffered", methods=METHODS)
async def echo(request: Request) -> dict[str, Any]:
    """What arrived."""
    return {
        "headers": sorted({*request.headers.keys()}),
        "client": address(request),
        "cookies": request.cookies,
        "size": len(await request.body()),
    }


handler = lambda_handler(app)
