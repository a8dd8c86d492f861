"""The streaming function starts with run.sh and answers what the Web Adapter asks, here without the adapter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.objectstore import ObjectStore
from local.postgres import Postgres
from local.process import free_ports
from tests import product
from tests.template import document

FOLDER = document.ROOT / "functions" / "downloads"


@pytest.fixture
def server(postgres: Postgres, object_store: ObjectStore, template_database: str, tmp_path: Path) -> Iterator[str]:
    """Address of a running run.sh, on a port of its own as Lambda's variables say it."""
    variables = document.functions()["DownloadsFunction"]["Environment"]["Variables"]
    (port,) = free_ports(1)
    python = Path(sys.executable).parent
    log = tmp_path / "log"
    with product.fresh(postgres, template_database, object_store) as environment, log.open("w") as output:
        process = subprocess.Popen(
            ["sh", str(FOLDER / document.functions()["DownloadsFunction"]["Handler"])],
            cwd=FOLDER,
            env=os.environ
            | environment
            | {
                "PATH": f"{python}:{os.environ['PATH']}",
                "PYTHONPATH": str(document.ROOT / "layers" / "core"),
                "LAMBDA_TASK_ROOT": str(FOLDER),
                "AWS_LWA_PORT": str(port),
            },
            stdout=output,
            stderr=output,
        )
        try:
            ready = f"http://127.0.0.1:{port}{variables['AWS_LWA_READINESS_CHECK_PATH']}"
            until = time.monotonic() + 30
            while True:
                try:
                    urllib.request.urlopen(ready, timeout=5).close()
                    break
                except urllib.error.URLError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < until, log.read_text()
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_starts_and_serves_the_streamed_route(server: str, method: str) -> None:
    missing = "/s/6b2f6f1e-8f0c-4d0e-9f0e-3f4b5c6d7e8f/download/all"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(server + missing, method=method), timeout=10)
    with refused.value as answer:
        assert answer.status == 404
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "server" not in answer.headers
