"""`safelight galleries`: what there is to download."""

from typing import Any

from .errors import Cut
from .http import Http
from .login import Session
from .patience import Patience
from .say import give, plain, say


def list_galleries() -> None:
    """A line for each gallery: id, photos that are ready, title. Raises CommandError."""
    session = Session()
    http = Http(session.url, session.authorize)
    patience, cursor, count = Patience(), "", 0
    try:
        while True:
            try:
                page: dict[str, Any] = http.json("GET", f"{http.base}/galleries?limit=200{cursor}")
            except Cut as cut:
                patience.wait(cut)
                continue
            for gallery in page["items"]:
                count += 1
                give(f"{gallery['id']}  {gallery['ready_count']:>6}  {plain(gallery['title']) or '(no title)'}")
            if not page["next_cursor"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
    finally:
        http.close()
    if not count:
        say("There are no galleries yet.")
