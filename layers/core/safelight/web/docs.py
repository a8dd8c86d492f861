"""The API's documentation: the combined OpenAPI document, and Swagger UI from our own host."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import Response
from fastapi.responses import HTMLResponse

from safelight.errors import NotFound

DOCUMENT = Path(__file__).parent / "openapi.json"

_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png"}
_SHIPPED = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")

# What is typed into "Authorize" lives as long as the page: a password in the browser's storage could be read by every
# page of this origin, and visitors' pages are of it. What an earlier page has stored goes.
_START = b"""\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
});
localStorage.removeItem("authorized");
"""

# No inline script and no other host: what this page runs comes from here. Swagger UI sets styles from its script, and
# draws its icons from data URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Safelight API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""


@lru_cache(maxsize=1)
def openapi() -> bytes:
    """The document of all functions' routes; made by `make openapi` and checked in."""
    return DOCUMENT.read_bytes()


def page() -> HTMLResponse:
    """Swagger UI over that document."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "public, max-age=300"})


def asset(name: str) -> Response:
    """One of the page's files. Raises NotFound."""
    headers = {"Cache-Control": "public, max-age=86400"}
    if name == "start.js":
        return Response(_START, media_type=_TYPES[".js"], headers=headers)
    if name not in _SHIPPED:
        raise NotFound
    return Response((_assets() / name).read_bytes(), media_type=_TYPES[Path(name).suffix], headers=headers)


@lru_cache(maxsize=1)
def _assets() -> Path:
    # The package ships Swagger UI's files; it is found, not imported, because importing it would want Django.
    spec = find_spec("drf_spectacular_sidecar")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound
    return Path(spec.submodule_search_locations[0]) / "static" / "drf_spectacular_sidecar" / "swagger-ui-dist"
