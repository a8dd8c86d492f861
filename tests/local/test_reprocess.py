"""`make reprocess`: what an operator sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from safelight.storage import storage
from tests import product
from tests.api import Photographer, run_jobs, running
from tests.functions.access import administrator

MISSING = "8a3c7e52-9b1d-4e0f-a6c5-2d7f8b9e0a13"


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The command as make runs it."""
    path = os.pathsep.join([str(product.ROOT), str(product.ROOT / "layers/core")])
    with subprocess.Popen(
        [sys.executable, "-m", "local.reprocess", *arguments],
        env={**os.environ, "PYTHONPATH": path, "SAFELIGHT_KEY": "", **environment},
        cwd=product.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def reprocessed(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """How it ended, while the worker works: code, output, errors."""
    with started(*arguments, **environment) as process:
        while process.poll() is None:
            if running:
                run_jobs()
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        output, errors = process.communicate()
    assert "Traceback" not in errors
    return process.returncode, output, errors


@pytest.fixture
def boss(api: str) -> Photographer:
    assert api
    return administrator()


@pytest.fixture
def access(boss: Photographer) -> dict[str, str]:
    """The address of the running product, and a key to it."""
    answer = boss.call("POST", "/auth/api-keys", json={"name": "operator", "scopes": ["operate"]})
    assert answer.status_code == 201, answer.text
    return {"BASE_URL": running[0].url, "SAFELIGHT_KEY": answer.json()["key"]}


@pytest.mark.parametrize("what", ["renditions", "analyses", "clean"])
def test_it_waits_for_the_end_and_says_how_many(boss: Photographer, access: dict[str, str], what: str) -> None:
    gallery = boss.gallery()["id"]
    boss.upload(gallery)
    run_jobs()
    code, output, errors = reprocessed(gallery, what, **access)
    assert (code, errors) == (0, "")
    assert output == f"completed  [{'#' * 32}] 1 of 1, 0 failed\n"


def test_it_names_the_photos_that_keep_what_they_have(boss: Photographer, access: dict[str, str]) -> None:
    gallery = boss.gallery()["id"]
    photo = boss.upload(gallery)
    run_jobs()
    storage().delete([f"originals/{gallery}/{photo}"])
    code, output, errors = reprocessed(gallery, **access)
    assert (code, errors) == (0, "")
    assert f"{photo}: " in output
    assert "1 of 1, 1 failed" in output


def test_an_empty_gallery_is_done_at_once(boss: Photographer, access: dict[str, str]) -> None:
    code, output, _ = reprocessed(boss.gallery()["id"], **access)
    assert code == 0
    assert "0 of 0" in output


def test_what_is_wrong_is_said_in_a_line(boss: Photographer, access: dict[str, str]) -> None:
    gallery = boss.gallery()["id"]
    url = access["BASE_URL"]
    key = {"SAFELIGHT_KEY": access["SAFELIGHT_KEY"]}
    for arguments, environment, said in (
        ([gallery], {"BASE_URL": url}, "SAFELIGHT_KEY"),
        ([gallery], {"BASE_URL": url, "SAFELIGHT_KEY": "sk_\u00fc"}, "SAFELIGHT_KEY"),
        ([gallery], {"BASE_URL": url, "SAFELIGHT_KEY": "x"}, ""),
        ([MISSING], access, ""),
        (["../x"], access, ""),
        ([gallery], {"BASE_URL": "http://127.0.0.1:1", **key}, "make up"),
        ([gallery], {"BASE_URL": "http://127.0.0.1:port", **key}, "address"),
        ([gallery], {"BASE_URL": "nonsense", **key}, "nonsense"),
    ):
        code, output, errors = reprocessed(*arguments, **environment)
        assert (code, output) == (1, ""), errors
        assert errors.startswith("Not reprocessed: ")
        assert said in errors
        assert errors.count("\n") == 1
    code, _, errors = reprocessed(gallery, "everything", **access)
    assert (code, "invalid choice" in errors) == (2, True)
