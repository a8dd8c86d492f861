"""Making an application and its Lambda handler."""

import asyncio
import threading
import warnings
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic.warnings import UnsupportedFieldAttributeWarning

# FastAPI's own OpenAPI models build their validators on import unless told to wait: 30 ms of every cold start.
BaseModel.model_config["defer_build"] = True
# FastAPI silences this about its own body fields while it builds them; built later, they would speak up.
warnings.filterwarnings("ignore", "The 'alias' attribute", UnsupportedFieldAttributeWarning)

from fastapi import FastAPI  # noqa: E402 - after the line above on purpose
from fastapi.routing import APIRoute  # noqa: E402
from mangum import Mangum  # noqa: E402
from starlette.types import Lifespan  # noqa: E402

from safelight import __version__  # noqa: E402
from safelight.telemetry import logger  # noqa: E402
from safelight.web import problems  # noqa: E402
from safelight.web.event import RestRequest  # noqa: E402
from safelight.web.observe import Observe  # noqa: E402
from safelight.web.receiving import BoundedRoute  # noqa: E402
from safelight.web.wellformed import Wellformed  # noqa: E402


def create_app(title: str, *, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """An application whose routes are declared on it directly: an included router would be built twice.

    `lifespan` is for what runs under a server; Lambda's handlers have none.
    """
    app = FastAPI(
        title=f"Safelight {title}",
        version=__version__,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.router.route_class = BoundedRoute
    app.add_middleware(Wellformed)
    app.add_middleware(Observe)
    problems.install(app)
    return app


def lambda_handler(app: FastAPI) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """What Lambda calls. `lifespan="off"`: Mangum would run start-up and shut-down around every request."""
    _use_loop()
    mangum = Mangum(app, lifespan="off", custom_handlers=[RestRequest])
    log = logger()

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        log.append_keys(function_request_id=getattr(context, "aws_request_id", None))
        _use_loop()
        return mangum(event, context)

    return handler


_loops: dict[int, asyncio.AbstractEventLoop] = {}


def _use_loop() -> None:
    # Mangum runs on the thread's event loop and makes one that nobody closes where there is none. This one is kept, so
    # that it is never collected unclosed, and given back to the thread when something else has taken its place.
    loop = _loops.get(threading.get_ident())
    if loop is None or loop.is_closed():
        loop = _loops[threading.get_ident()] = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)


def _operation_id(route: APIRoute) -> str:
    return route.name
