"""/openapi.json and /asyncapi.json: valid, whole, and true to what the board does."""

from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

pytestmark = pytest.mark.any_database

OPERATIONS = {
    ("/api/payments", "post"): {"201", "409", "413", "415", "422", "429", "500", "503"},
    ("/api/payments/{payment_id}", "get"): {"200", "404", "500"},
    ("/api/messages", "get"): {"200", "422", "500"},
    ("/api/messages/{message_id}", "get"): {"200", "404", "410", "422", "500"},
    ("/api/board", "get"): {"200", "500"},
    ("/stripe/webhook", "post"): {"200", "400", "413", "500"},
    ("/healthz", "get"): {"200"},
    ("/readyz", "get"): {"200", "503"},
    ("/metrics", "get"): {"200"},
    ("/api/feed", "get"): {"426", "500"},
}
FRAMES = {
    "snapshot",
    "resumed",
    "message.posted",
    "message.removed",
    "message.restored",
    "message.withheld",
    "payment.updated",
    "heartbeat",
    "error",
    "watch",
}


@pytest.fixture
async def openapi(client: httpx.AsyncClient) -> dict[str, Any]:
    """The HTTP contract as the board serves it."""
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return document


@pytest.fixture
async def asyncapi(client: httpx.AsyncClient) -> dict[str, Any]:
    """The WebSocket contract as the board serves it."""
    document: dict[str, Any] = (await client.get("/asyncapi.json")).json()
    return document


def test_the_openapi_document_is_valid(openapi: dict[str, Any]) -> None:
    """The document is valid OpenAPI 3.1."""
    validate(openapi)
    assert openapi["openapi"].startswith("3.1")


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_every_status_is_documented(openapi: dict[str, Any], operation: tuple[str, str]) -> None:
    """Each row of the contract's table is there, with every status it may answer with."""
    path, method = operation
    refusals = {"400", "408", "431"}  # of a request that is not even looked at
    assert OPERATIONS[operation] | refusals <= set(openapi["paths"][path][method]["responses"])


def test_every_error_is_a_problem(openapi: dict[str, Any]) -> None:
    """Every 4xx and 5xx of every operation is `application/problem+json` and nothing else."""
    problem = "#/components/schemas/Problem"
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    content = response["content"]
                    assert list(content) == ["application/problem+json"], f"{method} {path} {status}"
                    assert content["application/problem+json"]["schema"]["$ref"] == problem


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A component's schema, able to follow references."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


async def test_answers_are_as_documented(client: httpx.AsyncClient, openapi: dict[str, Any]) -> None:
    """A payment, a page, a description and a problem each match their schema, which names every field they have."""
    payment = (await client.post("/api/payments", json={"text": "Hello"})).json()
    page = (await client.get("/api/messages")).json()
    described = (await client.get("/api/board")).json()
    problem = (await client.get("/api/messages?limit=0")).json()
    found = {"Payment": payment, "MessagePage": page, "BoardInfo": described, "Problem": problem}
    for name, value in found.items():
        OAS31Validator(schema(openapi, name)).validate(value)
        assert set(value) <= set(openapi["components"]["schemas"][name]["properties"])


def test_the_asyncapi_document_knows_every_frame(asyncapi: dict[str, Any]) -> None:
    """The feed's document has a message for every frame of the contract, by its type."""
    assert asyncapi["asyncapi"].startswith("3.")
    assert asyncapi["channels"]["feed"]["address"] == "/api/feed"
    messages = asyncapi["components"]["messages"]
    types = {
        asyncapi["components"]["schemas"][message["payload"]["$ref"].rsplit("/", 1)[1]]["properties"]["type"]["const"]
        for message in messages.values()
    }
    assert types == FRAMES


def test_no_reference_dangles(asyncapi: dict[str, Any]) -> None:
    """Everything that the feed's document refers to is in it."""

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [ref for value in node.values() for ref in references(value)]
        return [ref for value in node for ref in references(value)] if isinstance(node, list) else []

    found = references(asyncapi)
    assert found
    for reference in found:
        target: Any = asyncapi
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
