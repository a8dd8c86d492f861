"""The API does what its OpenAPI document says, whatever is sent: schemathesis makes the requests and reads the answers.

Each operation gets requests that follow the document and requests that do not, as the photographer and as a visitor;
half of them name things that exist. The same requests every time; `make fuzz` makes many more.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.functions.access import World
from tests.functions.attacking import DOCUMENT, administered

EXAMPLES = 400 if os.environ.get("FUZZ") else 8
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
BOUNDED = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
# After one of these there is nothing left to ask for, so each works on a photographer of its own.
FINAL = ("DELETE /auth/me", "DELETE /galleries/{gallery_id}", "DELETE /photos/{photo_id}", "POST /auth/password",
         "DELETE /share-links/{share_id}", "PATCH /admin/users/{user_id}")  # fmt: skip


@pytest.fixture(scope="module")
def shared_world(shared_api: str) -> World:
    assert shared_api
    return administered()


def test_every_operation_is_tried() -> None:
    assert len(OPERATIONS) == sum(len(operations) for operations in DOCUMENT["paths"].values())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: str(operation.label))
def test_every_answer_is_one_that_is_documented(operation: Any, shared_api: str, shared_world: World) -> None:
    world = administered() if operation.label in FINAL else shared_world
    with requests.Session() as session:

        @BOUNDED
        @given(
            case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)),
            real=st.booleans(),
            signed_in=st.sampled_from([True, True, True, False]),
        )
        def every(case: Any, real: bool, signed_in: bool) -> None:
            if real and case.path_parameters:
                case.path_parameters = {
                    name: world.things.get(name, value) for name, value in case.path_parameters.items()
                }
            headers = {"Authorization": f"Bearer {world.anna.tokens['access_token']}"} if signed_in else {}
            session.cookies.clear()
            answer = case.call(base_url=shared_api, session=session, headers=headers, allow_redirects=False)
            case.validate_response(answer, checks=CHECKS)

        every()
