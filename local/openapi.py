"""`python -m local.openapi`: write the OpenAPI document of every function's routes to where the product serves it."""

import importlib
import json
from typing import Any

from fastapi.openapi.utils import get_openapi

from local import answers
from safelight import __version__
from safelight.web import bodies
from safelight.web.docs import DOCUMENT
from safelight.web.policy import ROUTES

FUNCTIONS = ("accounts", "galleries", "photos", "visits", "downloads", "operations", "analyses")

PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem details; `code` is stable, `detail` is for people.",
    "required": ["type", "status", "code", "title", "detail"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def document() -> dict[str, Any]:
    """The combined document: every route once, tagged by its function, every error a problem."""
    routes = []
    for name in FUNCTIONS:
        for route in importlib.import_module(f"functions.{name}.app").app.routes:
            route.tags = [name]
            routes.append(route)
    made = get_openapi(
        title="Safelight",
        version=__version__,
        description="Client galleries for photographers. Errors are RFC 9457 problems with a stable `code`.",
        routes=routes,
    )
    schemas = made["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = PROBLEM
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            responses.pop("422", None)
            answers.describe(f"{method.upper()} {path}", responses)
            problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            responses["default"] = {"description": "What went wrong", "content": problem}
            if "requestBody" in operation:
                most = bodies.words(bodies.limit_of(method.upper(), path))
                responses["413"] = {"description": f"The body has more than {most}", "content": problem}
            if ROUTES[f"{method.upper()} {path}"] in ("open", "visitor"):
                operation.pop("security", None)
    return made


def text() -> str:
    """The document as it is stored."""
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write it."""
    DOCUMENT.write_text(text())


if __name__ == "__main__":
    main()
