"""`make reprocess GALLERY=… [WHAT=renditions]`: ask the running stack for it, and tell how far it is until the end."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

LOOK_SECONDS = 1.0


def main() -> int:
    """Ask as an administrator; SAFELIGHT_KEY is an API key with the scope `admin`."""
    parser = argparse.ArgumentParser(prog="make reprocess GALLERY=…", description=__doc__)
    parser.add_argument("gallery")
    parser.add_argument("what", nargs="?", default="renditions", choices=["renditions", "analyses", "clean"])
    given = parser.parse_args()
    key = os.environ.get("SAFELIGHT_KEY")
    if not key:
        print("Set SAFELIGHT_KEY to an administrator's API key with the scope “admin”", file=sys.stderr)
        return 1
    url = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    try:
        walk = ask(f"{url}/admin/galleries/{given.gallery}/reprocess", key, {"what": given.what})
        while walk["status"] in ("queued", "running"):
            print(f"{walk['done']} of {walk['total']}, {walk['failed']} failed", flush=True)
            time.sleep(LOOK_SECONDS)
            walk = ask(f"{url}/admin/reprocessings/{walk['id']}", key)
    except urllib.error.HTTPError as error:
        print(json.load(error).get("detail", error), file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"{url} does not answer ({error.reason}): is Safelight running (make up)?", file=sys.stderr)
        return 1
    print(f"{walk['status']}: {walk['done']} of {walk['total']}, {walk['failed']} failed")
    for one in walk["failures"]:
        print(f"  {one['photo_id']}: {one['reason']}")
    return 0 if walk["status"] == "completed" else 1


def ask(url: str, key: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """One call. Raises URLError."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the operator's own address
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
        found: dict[str, Any] = json.load(answer)
    return found


if __name__ == "__main__":
    sys.exit(main())
