"""`make demo`: a photographer, a gallery of generated pictures and a share link, made through the public API alone."""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import os
import secrets
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import httpx

from local.pictures import SCENES, Scene, paint

READY_SECONDS = 180
BAR = 32
JPEG = "image/jpeg"


class DemoError(RuntimeError):
    """The demonstration cannot go on; the text is for people."""


class Demo:
    """A client of one running Safelight."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._api = httpx.Client(base_url=self.url, timeout=30)
        self._bucket = httpx.Client(timeout=60)
        self.share = ""
        """Path of the share link, once there is one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()
        self._bucket.close()

    def run(self) -> None:
        """Everything, with its progress printed. Raises DemoError."""
        email, password = self._register()
        gallery = self._call("POST", "/galleries", json={"title": "Light and land", "description": "A demonstration"})
        photos = self._upload(gallery["id"])
        failed = self._wait(gallery["id"], len(photos))
        cover = {"cover_photo_id": photos[0]}
        self._call("PATCH", f"/galleries/{gallery['id']}", json=cover)
        link = self._call("POST", f"/galleries/{gallery['id']}/share-links", json={"label": "Demonstration"})
        self.share = f"/s/{link['share_id']}"
        shown = self._call("GET", self.share)
        print(f"\n  share link     {link['url']}  ({len(shown['photos'])} photos)")
        print(f"  all as a ZIP   {link['url']}/download/all")
        print(f"  sign in with   {email}  {password}")
        if failed:
            raise DemoError(f"{failed} of {len(photos)} pictures could not be processed")

    def _register(self) -> tuple[str, str]:
        email = f"demo-{secrets.token_hex(3)}@example.com"
        password = f"Demo-{secrets.token_urlsafe(9)}-1a"
        self._call("POST", "/auth/register", json={"email": email, "password": password})
        tokens = self._call("POST", "/auth/login", json={"email": email, "password": password})
        self._api.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        return email, password

    def _upload(self, gallery: str) -> list[str]:
        """Paint and upload all scenes; the ids of the photos in their order."""
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            made = pool.map(lambda numbered: self._upload_one(gallery, *numbered), enumerate(SCENES))
            return list(bar(made, "uploading", len(SCENES)))

    def _upload_one(self, gallery: str, number: int, scene: Scene) -> str:
        taken = dt.datetime(2026, 6, 20, 5, 12, tzinfo=dt.UTC) + dt.timedelta(hours=1.3 * number)
        picture = paint(scene, taken=taken.strftime("%Y:%m:%d %H:%M:%S"), seed=number)
        filename = f"{scene.title}.jpg"
        about = {
            "filename": filename,
            "content_type": JPEG,
            "file_size": len(picture),
            "crc32": base64.b64encode(zlib.crc32(picture).to_bytes(4)).decode(),
            "title": scene.title,
            "tags": ["landscape", "night" if scene.stars else "day"],
        }
        created = self._call("POST", f"/galleries/{gallery}/photos", json=about)
        upload = created["upload"]
        answer = self._bucket.post(upload["url"], data=upload["fields"], files={"file": (filename, picture, JPEG)})
        if answer.is_error:
            raise DemoError(f"the bucket refused {scene.title}: {answer.status_code} {answer.text[:300]}")
        photo: str = created["photo"]["id"]
        self._call("POST", f"/photos/{photo}/complete")
        return photo

    def _wait(self, gallery: str, count: int) -> int:
        """Until every photo is ready or failed; how many failed."""
        failed = 0

        def settled() -> Iterator[None]:
            nonlocal failed
            end, seen = time.monotonic() + READY_SECONDS, 0
            while seen < count:
                if time.monotonic() > end:
                    raise DemoError(
                        f"only {seen} of {count} pictures were processed in {READY_SECONDS} s: see worker.log"
                    )
                page = self._call("GET", f"/galleries/{gallery}/photos?limit={count}")
                states = [photo["status"] for photo in page["items"]]
                failed = states.count("failed")
                done = failed + states.count("ready")
                yield from [None] * (done - seen)
                seen = done
                time.sleep(0.2)

        for _ in bar(settled(), "processing", count):
            pass
        return failed

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._api.request(method, path, **options)
        except httpx.TransportError as error:
            raise DemoError(f"no answer from {self.url} ({error}): is `make up` running?") from error
        if answer.is_error:
            raise DemoError(f"{method} {path} gave {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None


def bar[T](items: Iterator[T], label: str, count: int) -> Iterator[T]:
    """Pass the items on and draw how far they are; on a terminal in one line, elsewhere only at the end."""
    live = sys.stdout.isatty()
    for done, item in enumerate(items, 1):
        filled = BAR * done // count
        if live or done == count:
            start, end = "\r" if live else "", "" if done < count else "\n"
            print(f"{start}  {label:<11}[{'#' * filled}{'.' * (BAR - filled)}] {done}/{count}", end=end, flush=True)
        yield item


def main() -> int:
    """Run against `--url`, else PORT of this machine."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    default = os.environ.get("BASE_URL") or f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    parser.add_argument("--url", default=default, help=f"of the running Safelight ({default})")
    try:
        with Demo(parser.parse_args().url) as demo:
            demo.run()
    except DemoError as error:
        print(f"The demonstration stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
