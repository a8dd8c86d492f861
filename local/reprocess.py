"""`make reprocess GALLERY=… [WHAT=renditions]`: ask the running stack for it, and tell how far it is until the end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any
from urllib.parse import quote

import httpx

from local.demo import BAR

LOOK_SECONDS = 1.0


class ReprocessError(RuntimeError):
    """It cannot be asked for, or not be watched any longer; the text is for people."""


def main() -> int:
    """Ask as an administrator; SAFELIGHT_KEY is an API key with the scope `operate`. 0 when all is made again."""
    parser = argparse.ArgumentParser(prog="make reprocess GALLERY=…", description=__doc__)
    parser.add_argument("gallery")
    parser.add_argument("what", nargs="?", default="renditions", choices=["renditions", "analyses", "clean"])
    given = parser.parse_args()
    key = os.environ.get("SAFELIGHT_KEY", "")
    url = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    try:
        return run(url, key, given.gallery, given.what)
    except ReprocessError as error:
        print(f"Not reprocessed: {error}", file=sys.stderr)
        return 1


def run(url: str, key: str, gallery: str, what: str) -> int:
    """Begin, or join what is under way, and watch it to its end. Raises ReprocessError."""
    if not key.isascii() or not key.isprintable() or not key:
        raise ReprocessError("set SAFELIGHT_KEY to an administrator's API key with the scope “operate”")
    try:
        api = httpx.Client(base_url=url, timeout=30, headers={"X-API-Key": key})
    except httpx.InvalidURL as error:
        raise ReprocessError(f"{url} is no address ({error})") from error
    with api:
        walk = ask(api, "POST", f"/admin/galleries/{quote(gallery, safe='')}/reprocess", json={"what": what})
        while walk["status"] in ("queued", "running"):
            draw(walk)
            time.sleep(LOOK_SECONDS)
            walk = ask(api, "GET", f"/admin/reprocessings/{walk['id']}")
    draw(walk, end=True)
    for one in walk["failures"]:
        print(f"  {one['photo_id']}: {one['reason']}")
    if walk["status"] != "completed":
        raise ReprocessError(walk["error"] or f"it was {walk['status']}")
    return 0


def draw(walk: dict[str, Any], *, end: bool = False) -> None:
    """How far it is: on a terminal in one line, elsewhere only at the end."""
    live = sys.stdout.isatty()
    if not live and not end:
        return
    done, total = walk["done"], walk["total"]
    filled = BAR * done // total if total else BAR if end else 0
    drawn = f"[{'#' * filled}{'.' * (BAR - filled)}] {done} of {total}, {walk['failed']} failed"
    print(f"{chr(13) if live else ''}{walk['status']:<11}{drawn}", end="\n" if end else "", flush=True)


def ask(api: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    """One call. Raises ReprocessError."""
    try:
        answer = api.request(method, path, **options)
        found = answer.json()
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise ReprocessError(f"{api.base_url} does not answer ({error}): is Safelight running (make up)?") from error
    except ValueError as error:
        raise ReprocessError(f"{api.base_url} is not Safelight: it answered {answer.status_code}") from error
    if answer.is_error or not isinstance(found, dict):
        told = found if isinstance(found, dict) else {}
        raise ReprocessError(str(told.get("detail") or told.get("title") or f"the answer was {answer.status_code}"))
    return found


if __name__ == "__main__":
    sys.exit(main())
