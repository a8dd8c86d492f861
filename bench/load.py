"""The load test of a whole stack: 50 uploads from 8 clients, then all of them as one ZIP.

`python -m bench.load` starts a stack of its own (`python -m local`, free port, temporary home) and takes about a
minute; `--url` takes a running one. Measured from outside, over HTTP alone: the time until the last upload was
acknowledged and until the last photo was ready, and the ZIP by curl, in turns with its peer: the same originals by one
curl straight from the store, over one connection and over eight, through addresses that were signed beforehand. Where
wget and aria2c are installed, a resumed and a segmented download must give the same bytes.
"""

import argparse
import contextlib
import hashlib
import io
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from bench.measure import free_port, interleaved, median, running, verdict

PHOTOS, CLIENTS = 50, 8
MOST_SECONDS, MOST_RATIO = 5, 2.5
JPEG = "image/jpeg"


def picture(number: int) -> bytes:
    """A JPEG of about 200 kB, like no other."""
    dice = random.Random(number)
    noise = Image.frombytes("RGB", (240, 160), dice.randbytes(240 * 160 * 3))
    out = io.BytesIO()
    noise.resize((1200, 800), Image.Resampling.BICUBIC).save(out, "JPEG", quality=60)
    return out.getvalue()


class Client:
    """A photographer's client of one stack, with connections of its own."""

    def __init__(self, url: str, token: str = "") -> None:
        self.token = token
        self.http = httpx.Client(
            base_url=url, timeout=60, headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        self.bucket = httpx.Client(timeout=60)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """The answer's JSON."""
        answer = self.http.request(method, path, **options)
        answer.raise_for_status()
        return answer.json()

    def upload(self, gallery: str, photos: list[tuple[str, bytes]]) -> None:
        """One after the other: announce, post to the bucket, complete."""
        for filename, data in photos:
            body = {"filename": filename, "content_type": JPEG, "file_size": len(data)}
            made = self.call("POST", f"/galleries/{gallery}/photos", json=body)
            form = made["upload"]
            posted = self.bucket.post(form["url"], data=form["fields"], files={"file": (filename, data, JPEG)})
            posted.raise_for_status()
            self.call("POST", f"/photos/{made['photo']['id']}/complete")


def signed_in(url: str) -> str:
    """A fresh photographer's access token."""
    visitor = Client(url)
    account = {"email": f"{secrets.token_hex(6)}@example.com", "password": f"Load-{secrets.token_urlsafe(9)}-1a"}
    visitor.call("POST", "/auth/register", json=account)
    token: str = visitor.call("POST", "/auth/login", json=account)["access_token"]
    return token


def upload_all(url: str, photos: dict[str, bytes]) -> tuple[Client, str]:
    """Upload from all clients and wait; prints the times. The first client, and the gallery's id."""
    token = signed_in(url)
    clients = [Client(url, token) for _ in range(CLIENTS)]
    first = clients[0]
    gallery: str = first.call("POST", "/galleries", json={"title": "Load"})["id"]
    items = list(photos.items())
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [items[number::CLIENTS] for number in range(CLIENTS)]
        list(pool.map(lambda client, share: client.upload(gallery, share), clients, shares))
    uploaded = time.perf_counter() - began
    states: list[str] = []
    while states.count("ready") < len(photos):
        time.sleep(0.1)
        page = first.call("GET", f"/galleries/{gallery}/photos?limit={len(photos)}")
        states = [photo["status"] for photo in page["items"]]
        if "failed" in states or time.perf_counter() - began > 300:
            raise SystemExit(f"not every photo became ready: {states}")
    ready = time.perf_counter() - began
    print(f"\n{len(photos)} uploads from {CLIENTS} clients, {sum(map(len, photos.values())) / 1e6:.1f} MB")
    print(
        f"  acknowledged after {uploaded:6.2f} s, all ready after {ready:6.2f} s ({len(photos) / ready:.1f} a second)"
    )
    return first, gallery


def originals(client: Client, gallery: str, directory: Path) -> Path:
    """A curl configuration that fetches every original straight from the store."""
    lines = []
    for photo in client.call("GET", f"/galleries/{gallery}/photos?limit={PHOTOS}")["items"]:
        answer = client.http.get(f"/photos/{photo['id']}/renditions/original")
        lines.append(f'url = "{answer.headers["location"]}"\noutput = "/dev/null"\n')
    path = directory / "originals"
    path.write_text("".join(lines))
    return path


def curl(*arguments: str | Path) -> float:
    """Seconds that curl took for it."""
    began = time.perf_counter()
    subprocess.run(["curl", "--silent", "--show-error", "--no-progress-meter", "--fail", *arguments], check=True)
    return time.perf_counter() - began


def downloads(address: str, configuration: Path, target: Path, rounds: int) -> bool:
    """Print the ZIP's times against those of the originals; whether the budgets hold."""
    results = interleaved(
        {
            "ZIP of all": partial(curl, "--output", target, address),
            "originals, one by one": partial(curl, "--config", configuration),
            "originals, 8 at a time": partial(curl, "--parallel", "--parallel-max", "8", "--config", configuration),
        },
        rounds,
    )
    size = target.stat().st_size
    print(f"\n{PHOTOS} photos, {size / 1e6:.1f} MB")
    for name, values in results.items():
        seconds = median(values)
        print(f"  {name:24} {seconds * 1000:8.1f} ms {size / seconds / 1e6:7.0f} MB/s")
    whole, single, parallel = (median(values) for values in results.values())
    print(f"  seconds: {verdict(whole, most=MOST_SECONDS)}")
    print(f"  time over one by one {whole / single:.2f}, over 8 at a time {whole / parallel:.2f}")
    print(f"  time over one by one: {verdict(whole / single, most=MOST_RATIO)}")
    return whole <= MOST_SECONDS and whole / single <= MOST_RATIO


def check(photos: dict[str, bytes], address: str, target: Path) -> None:
    """Ends the benchmark when the archive, or what other programs make of it, is not what was uploaded."""
    with zipfile.ZipFile(target) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if name != "SHA256SUMS.txt"}
    if found != photos:
        raise SystemExit("the archive's photos are not those that were uploaded")
    whole = target.read_bytes()
    tools = {
        "wget": ["wget", "--quiet", "--continue", "--output-document"],
        "aria2c": ["aria2c", "--quiet", "--split=4", "--max-connection-per-server=4", "--min-split-size=1M"],
    }
    for tool, command in tools.items():
        if shutil.which(tool) is None:
            print(f"  {tool} is not installed")
            continue
        path = target.with_name(tool)
        if tool == "wget":
            path.write_bytes(whole[: len(whole) // 3])
            arguments = [*command, str(path), address]
        else:
            arguments = [*command, f"--dir={path.parent}", f"--out={path.name}", address]
        subprocess.run(arguments, check=True)
        if path.read_bytes() != whole:
            raise SystemExit(f"{tool} got other bytes")
        print(f"  {tool}: identical, SHA-256 {hashlib.sha256(whole).hexdigest()[:16]}")


@contextlib.contextmanager
def stack(url: str | None) -> Iterator[str]:
    """The address of the running stack, or of one that is started for this run."""
    if url is not None:
        yield url
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-load-", ignore_cleanup_errors=True) as home:
        log = Path(home) / "stack.log"
        variables = {"PORT": str(port), "SAFELIGHT_HOME": str(Path(home) / "home")}
        with running([sys.executable, "-m", "local"], port, log, variables):
            until = time.monotonic() + 60
            while "is ready at" not in log.read_text():
                if time.monotonic() > until:
                    raise RuntimeError(f"the stack did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"


def main() -> None:
    """Print all figures; exit with 1 when a budget is missed."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--url", help="of a running Safelight")
    options.add_argument("--rounds", type=int, default=9)
    arguments = options.parse_args()
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, {arguments.rounds} rounds")
    photos = {f"{number:03}.jpg": picture(number) for number in range(PHOTOS)}
    with stack(arguments.url) as url, tempfile.TemporaryDirectory(prefix="bench-load-") as directory:
        client, gallery = upload_all(url, photos)
        link = client.call("POST", f"/galleries/{gallery}/share-links", json={})
        address = f"{url}/s/{link['share_id']}/download/all"
        target = Path(directory) / "photos.zip"
        held = downloads(address, originals(client, gallery, Path(directory)), target, arguments.rounds)
        check(photos, address, target)
    print(f"load {os.getloadavg()[0]:.2f} at the end")
    raise SystemExit(not held)


if __name__ == "__main__":
    main()
