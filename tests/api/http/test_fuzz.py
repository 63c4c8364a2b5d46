"""Generated requests against the OpenAPI document: no 5xx, and only documented responses."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.support.served import Served

DOCUMENT = json.loads((Path(__file__).parents[3] / "openapi.json").read_text())
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
CASES = [
    *((method.upper(), path, POSITIVE) for path, operations in DOCUMENT["paths"].items() for method in operations),
    # Those that take something that can be wrong in itself.
    ("POST", "/api/payments", NEGATIVE),
    ("GET", "/api/messages", NEGATIVE),
    ("GET", "/api/messages/{message_id}", NEGATIVE),
    ("POST", "/stripe/webhook", NEGATIVE),
    ("DELETE", "/api/admin/messages/{message_id}", NEGATIVE),
    ("POST", "/api/admin/messages/{message_id}/restore", NEGATIVE),
]
PROMISES = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


@pytest.mark.parametrize(("method", "path", "mode"), CASES, ids=str)
def test_every_answer_is_as_promised(board: Served, method: str, path: str, mode: GenerationMode) -> None:
    """Whatever is sent, valid or not, the response is no 5xx and has a documented status, content type and shape."""
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    session = requests.Session()
    session.trust_env = False

    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_it(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=board.url, session=session, checks=PROMISES)

    with session:
        try_it()
