"""Giving a browser the link's cookie before its first download is counted, and not only with it.

Guests at one address with the same telephone cannot be told apart without a cookie. So a browser that follows a link to
a download, and brings none, is sent to the same address once more. If it keeps cookies, the download is counted as its
owner's; if it keeps none, as today's hash of address and program, and the mark in the address ends the turn. Other
programs are answered at once: they may not follow a redirect, and may keep cookies only while they run.
"""

from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from safelight.web.visitor import Visit

MARK = "visitor"


def meet(request: Request, visit: Visit) -> Response | None:
    """307 to the same address with the cookie, for a browser's navigation without one; None for any other request.

    Browsers say so by `Sec-Fetch-Mode` (W3C Fetch Metadata). To be called where the request would be counted, when
    everything else about it is decided: a refused download gives no cookie.
    """
    navigates = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
    if not navigates or visit.who.has_cookie or MARK in request.query_params:
        return None
    query = urlencode([*request.query_params.multi_items(), (MARK, "new")])
    # Relative to the path that was asked, which may stand behind a stage's name or a proxy's prefix.
    answer = RedirectResponse(f"?{query}", 307, {"Cache-Control": "no-store"})
    visit.introduce(answer)
    return answer
