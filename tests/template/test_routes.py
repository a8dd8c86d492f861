"""The template's routes and the FastAPI routes are the same set, function by function."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from tests.template import document

# Answered to the Web Adapter on the same machine, never to API Gateway.
INTERNAL = {("downloads", ("GET", "/healthz"))}


def implemented(folder: str) -> set[tuple[str, str]]:
    """(method, path) pairs of the app in functions/<folder>/app.py."""
    path = document.ROOT / "functions" / folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"routes_of_{folder}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        app = module.app
    finally:
        del sys.modules[spec.name]
    assert isinstance(app, FastAPI)
    pairs = set()
    for route in app.routes:
        assert isinstance(route, Route | APIRoute), f"{folder} serves {route}, which the template cannot express"
        # Starlette answers HEAD wherever it answers GET; a FastAPI route only when it is asked to.
        implied = set() if isinstance(route, APIRoute) else {"HEAD"}
        pairs |= {(method, route.path) for method in (route.methods or set()) - implied}
    return {pair for pair in pairs if (folder, pair) not in INTERNAL}


@pytest.mark.parametrize("folder", sorted(document.routes()))
def test_a_function_answers_exactly_what_the_template_sends_it(folder: str) -> None:
    assert implemented(folder) == document.routes()[folder]


def test_every_app_with_routes_is_behind_the_api() -> None:
    workers = {document.folder(function) for function in document.functions().values()} - set(document.routes())
    for path in sorted(Path(document.ROOT / "functions").glob("*/app.py")):
        folder = path.parent.name
        assert folder in document.routes() or folder in workers, f"functions/{folder} is not in the template"
        if folder in workers:
            assert "FastAPI" not in path.read_text(), f"functions/{folder} has routes that nobody reaches"


def test_no_route_belongs_to_two_functions() -> None:
    every = [pair for pairs in document.routes().values() for pair in pairs]
    assert len(every) == len(set(every))


def test_siblings_name_their_path_variable_alike() -> None:
    """API Gateway refuses two names for the variable at one place of the path; FastAPI does not mind."""
    names: dict[str, str] = {}
    for pairs in document.routes().values():
        for _, path in pairs:
            parts = path.strip("/").split("/")
            for depth, part in enumerate(parts):
                if part.startswith("{"):
                    parent = "/".join(parts[:depth])
                    assert names.setdefault(parent, part) == part, f"{path}: {names[parent]} elsewhere"


def test_streamed_routes_are_those_of_the_streaming_function() -> None:
    for name, event in document.events("Api"):
        streams = event.get("ResponseTransferMode") == "RESPONSE_STREAM"
        assert streams == (name == "DownloadsFunction")
        if streams:
            # API Gateway must not hang up before the function does.
            assert event["TimeoutInMillis"] == document.functions()[name]["Timeout"] * 1000
