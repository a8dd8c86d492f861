"""A page of another origin, in a browser on the store's machine: it reads, changes and deletes nothing."""

from __future__ import annotations

import http.server
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from local.objectstore import ObjectStore
from tests.journeys.test_browser import chromium
from tests.local.unsealed import UnsealedStore

__all__ = ["chromium"]

BUCKET = "safelight"
# The requests of a page's script: each that a browser sends without asking first, and each that it asks for.
SCRIPT = """async ([ports, bucket]) => {
    const got = [];
    const paths = [`/buckets/${bucket}/`, `/buckets/${bucket}/canary`, '/dir/status', '/dir/assign', '/status',
        `/${bucket}/canary`, `/${bucket}?list-type=2`, '/'];
    const tries = [['GET', {}], ['GET', {headers: {Accept: 'application/json', 'X-Asked': '1'}}],
        ['POST', {mode: 'no-cors', body: 'FORGED'}], ['PUT', {body: 'FORGED'}], ['DELETE', {}]];
    for (const port of ports) for (const [method, options] of tries) for (const path of paths) {
        try {
            const answer = await fetch(`http://127.0.0.1:${port}${path}`,
                {method, signal: AbortSignal.timeout(4000), ...options});
            const text = (await answer.text()).slice(0, 4000);
            if (answer.ok) got.push(`${method} ${port}${path}: ${answer.status} ${text}`);
        } catch { /* refused, or not allowed to read */ }
    }
    return got;
}"""


@pytest.fixture
def foreign_page() -> Iterator[str]:
    """The address of an empty page on a port of its own, which is an origin of its own."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>elsewhere</title>")

        def log_message(self, *_: object) -> None:
            """Quietly."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def visit(browser: Browser, page_url: str, store: ObjectStore) -> list[str]:
    """What the page's script got of every port of the store."""
    page = browser.new_page()
    page.goto(page_url)
    ports = [port for name, port in store._ports.items() if not name.endswith("grpc")]
    got: list[str] = page.evaluate(SCRIPT, [ports, BUCKET])
    page.close()
    return got


def fill(store: ObjectStore) -> bytes:
    canary = secrets.token_hex(20).encode() * 50
    store.create_bucket(BUCKET)
    store.client().put_object(Bucket=BUCKET, Key="canary", Body=canary)
    return canary


def test_a_foreign_page_gets_nothing_of_a_sealed_store(chromium: Browser, foreign_page: str, tmp_path: Path) -> None:
    with ObjectStore(tmp_path, "KEY", secrets.token_hex(20)) as store:
        canary = fill(store)
        # S3 says to everybody that it runs, without a word more
        runs = f"GET {store.endpoint.rpartition(':')[2]}/status: 200 "
        assert set(visit(chromium, foreign_page, store)) <= {runs}
        assert store.client().get_object(Bucket=BUCKET, Key="canary")["Body"].read() == canary


def test_the_same_page_empties_an_open_store(chromium: Browser, foreign_page: str, tmp_path: Path) -> None:
    with UnsealedStore(tmp_path, "KEY", secrets.token_hex(20)) as store:
        canary = fill(store)
        got = "\n".join(visit(chromium, foreign_page, store))
        filer = store._ports["filer.port"]
        assert f"GET {filer}/buckets/{BUCKET}/canary: 200 {canary.decode()[:100]}" in got
        assert f"DELETE {filer}/buckets/{BUCKET}/canary: 204" in got
        with pytest.raises(store.client().exceptions.ClientError):
            store.client().get_object(Bucket=BUCKET, Key="canary")
