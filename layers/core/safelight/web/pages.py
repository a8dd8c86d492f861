"""The pages people see, as files: everything that varies is fetched by the page itself, so nothing is ever
interpolated into HTML."""

from html import escape
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from safelight.errors import NotFound
from safelight.web.negotiate import accepts

STATIC = Path(__file__).parent / "static"
_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_PAGES = ("gallery", "downloads", "favourites")
_ASSETS = {"icon.svg": "image/svg+xml", "join.js": _SCRIPT}
_ASSETS |= {f"{page}.css": _STYLE for page in _PAGES} | {f"{page}.js": _SCRIPT for page in _PAGES}

_MESSAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{root}assets/icon.svg">
<link rel="stylesheet" href="{root}assets/gallery.css">
{extra}<p class="note">{detail}</p>
"""
# The words of downloads.js, for whoever comes without it.
BEING_BUILT = "Your ZIP is being put together. It goes on when you leave this page; come back and the download begins."


def policy(*pictures: str) -> str:
    """A Content-Security-Policy without anything inline; `pictures` are the origins that photos come from."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        f" img-src 'self' {' '.join(pictures)}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, rather than a program."""
    return accepts(request.headers.get("accept"), "text/html")


def gallery(pictures: str) -> Response:
    """The visitor's page. It asks for the gallery itself, so the link's secret is all that its address holds."""
    headers = {"Content-Security-Policy": policy(pictures), "Cache-Control": "no-cache", "Vary": "Accept"}
    return HTMLResponse((STATIC / "gallery.html").read_bytes(), headers=headers)


def join() -> Response:
    """The page of an invitation, whose code only the browser sees."""
    headers = {"Content-Security-Policy": policy(), "Cache-Control": "public, max-age=300"}
    return HTMLResponse((STATIC / "join.html").read_bytes(), headers=headers)


def message(request: Request, status: int, title: str, detail: str, headers: dict[str, str]) -> Response:
    """A sentence for a person instead of a problem document."""
    return _page(request, status, title, detail, headers)


def waiting(request: Request, percent: int, seconds: int, headers: dict[str, str]) -> Response:
    """202 with a page that asks for its address again after some seconds, which fetches the ZIP once it is there."""
    return _page(
        request,
        202,
        "Your ZIP",
        f"{BEING_BUILT} {percent}\u00a0%",
        headers,
        f'<meta http-equiv="refresh" content="{seconds}">\n',
    )


def _page(request: Request, status: int, title: str, detail: str, headers: dict[str, str], extra: str = "") -> Response:
    # Relative, because a stage of API Gateway puts its name before every path.
    root = "../" * (request.url.path.count("/") - 1)
    content = _MESSAGE.format(title=escape(title), detail=escape(detail), root=root, extra=extra)
    return HTMLResponse(content, status, {**headers, "Content-Security-Policy": policy(), "Vary": "Accept"})


def asset(name: str) -> Response:
    """A style, a script or the icon of the pages. Raises NotFound."""
    if name not in _ASSETS:
        raise NotFound
    headers = {"Cache-Control": "public, max-age=300"}
    return Response((STATIC / name).read_bytes(), media_type=_ASSETS[name], headers=headers)
