"""template.yaml as plain data: `!Ref X` reads {"Ref": "X"}, `!Sub s` reads {"Fn::Sub": s}."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.template import read

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def template() -> dict[str, Any]:
    """The whole template. Callers read it and leave it as it is."""
    return read(ROOT / "template.yaml")


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Properties by logical id of the resources of one type."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    """Properties by logical id of the functions, with the Globals behind each."""
    common = template()["Globals"]["Function"]
    shared = common["Environment"]["Variables"]
    merged = {}
    for name, own in resources("AWS::Serverless::Function").items():
        variables = shared | own.get("Environment", {}).get("Variables", {})
        layers = [*common.get("Layers", []), *own.get("Layers", [])]
        merged[name] = common | own | {"Environment": {"Variables": variables}, "Layers": layers}
    return merged


def folder(function: dict[str, Any]) -> str:
    """The folder below functions/ of a function."""
    return Path(function["CodeUri"]).name


def events(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(logical id of the function, properties of the event) for each event of a kind."""
    for name, function in functions().items():
        for event in function.get("Events", {}).values():
            if event["Type"] == kind:
                yield name, event["Properties"]


def routes() -> dict[str, set[tuple[str, str]]]:
    """(method, path) pairs by the folder of the function that answers them."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name, event in events("Api"):
        pair = (event["Method"].upper(), event["Path"])
        pairs = found.setdefault(folder(functions()[name]), set())
        assert pair not in pairs, f"{pair} stands twice in the template"
        pairs.add(pair)
    return found
