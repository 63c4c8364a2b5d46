"""/openapi.json and /asyncapi.json: valid, complete, and usable for generating clients."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from paidchat.api.contract.responses import CODES
from tests.support.board_client import http_client
from tests.support.contract import ASYNCAPI, OPENAPI, OPERATIONS, PROBLEM, Operation
from tests.support.served import Served, served_board
from tests.support.shapes import Json

pytestmark = pytest.mark.any_database

OPERATION_IDS = {
    "create_payment": "POST /api/payments",
    "get_payment": "GET /api/payments/{payment_id}",
    "list_messages": "GET /api/messages",
    "get_message": "GET /api/messages/{message_id}",
    "list_pinned": "GET /api/pinned",
    "get_board": "GET /api/board",
    "open_feed": "GET /api/feed",
    "receive_stripe_event": "POST /stripe/webhook",
    "remove_message": "DELETE /api/admin/messages/{message_id}",
    "restore_message": "POST /api/admin/messages/{message_id}/restore",
    "get_health": "GET /healthz",
    "get_readiness": "GET /readyz",
    "get_metrics": "GET /metrics",
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
    "viewers",
    "error",
    "watch",
}
HEADERS = {
    ("create_payment", "201"): {"Location", "Cache-Control"},
    ("create_payment", "409"): {"Retry-After"},
    ("create_payment", "429"): {"Retry-After"},
    ("create_payment", "503"): {"Retry-After"},
    ("get_payment", "200"): {"Cache-Control"},
    ("list_messages", "200"): {"ETag", "Cache-Control"},
    ("list_messages", "304"): {"ETag"},
    ("list_pinned", "200"): {"ETag", "Cache-Control"},
    ("list_pinned", "304"): {"ETag"},
    ("get_board", "200"): {"ETag", "Cache-Control"},
    ("get_board", "304"): {"ETag"},
    ("receive_stripe_event", "503"): {"Retry-After"},
    ("remove_message", "401"): {"WWW-Authenticate"},
    ("restore_message", "401"): {"WWW-Authenticate"},
    ("open_feed", "426"): {"Upgrade", "Sec-WebSocket-Version"},
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.id for operation in OPERATIONS])


def schemas_in(node: Any) -> Iterator[Json]:
    """Every schema in a document that describes an object."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            yield node
        for value in node.values():
            yield from schemas_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas_in(value)


def references_in(node: Any) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from references_in(value)


def test_the_openapi_document_is_valid() -> None:
    """The document is valid OpenAPI 3.1."""
    validate(OPENAPI)
    assert OPENAPI["openapi"].startswith("3.1")


def test_operations_have_names_of_their_own() -> None:
    """Each operation has a short id for generated clients; HEAD is not listed."""
    assert {operation.id: f"{operation.method} {operation.path}" for operation in OPERATIONS} == OPERATION_IDS


@each_operation
def test_an_operation_is_described(operation: Operation) -> None:
    """Each operation has a summary, a description and described tags; its parameters are described too."""
    tags = {tag["name"] for tag in OPENAPI["tags"] if tag["description"]}
    assert operation.described["summary"]
    assert operation.described["description"]
    assert operation.described["tags"]
    assert set(operation.described["tags"]) <= tags
    for parameter in operation.described.get("parameters", ()):
        assert parameter["description"]
        assert "example" in parameter or "default" in parameter["schema"]
        assert "null" not in str(parameter["schema"])


@each_operation
def test_answers_have_headers_and_examples(operation: Operation) -> None:
    """Every response documents its request id and the important headers, and every body has an example."""
    for status, response in operation.described["responses"].items():
        assert {"X-Request-Id", *HEADERS.get((operation.id, status), ())} <= set(response["headers"])
        for media in response.get("content", {}).values():
            assert media["examples"]
    for media in operation.described.get("requestBody", {}).get("content", {}).values():
        assert "example" in media or OPENAPI["components"]["schemas"]["NewPayment"]["examples"]


@each_operation
def test_errors_are_problems_with_their_codes(operation: Operation) -> None:
    """Every 4xx and 5xx is `application/problem+json` whose schema lists its codes and status, each with an example."""
    for status, response in operation.described["responses"].items():
        if int(status) >= 400:
            [(media_type, media)] = response["content"].items()
            assert media_type == PROBLEM
            schema = OPENAPI["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
            narrowed = schema["allOf"][1]["properties"]
            assert narrowed["status"]["enum"] == [int(status)]
            assert list(media["examples"]) == narrowed["code"]["enum"]
            assert all(CODES[code].status == int(status) for code in narrowed["code"]["enum"])


def test_every_code_is_documented() -> None:
    """Each stable code is in the document, either with an operation or with the errors outside all operations."""
    somewhere = set(re.findall(r'"code": "(\w+)"', str(OPENAPI).replace("'", '"')))
    assert set(CODES) <= somewhere


def test_only_the_operator_needs_a_token() -> None:
    """The two admin operations ask for a bearer token, and nothing else does."""
    scheme = OPENAPI["components"]["securitySchemes"]["adminToken"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    secured = {operation.id for operation in OPERATIONS if operation.described.get("security")}
    assert secured == {"remove_message", "restore_message"}
    assert OPENAPI["security"] == []


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_only_what_clients_send_is_closed(document: Json) -> None:
    """Responses and frames may gain fields; the payment's request body and the watch frame may not."""
    closed = [schema for schema in schemas_in(document) if schema.get("additionalProperties") is False]
    assert [schema["title"] for schema in closed] == (["NewPayment"] if document is OPENAPI else ["Watch"])


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_constants_are_required(document: Json) -> None:
    """A field that always has the same value is required, so no client mistakes one shape for another."""
    found = 0
    for schema in schemas_in(document["components"]["schemas"]):
        fields = schema["properties"].items()
        constants = {name for name, field in fields if "const" in field or len(field.get("enum", ())) == 1}
        assert constants <= set(schema.get("required", ())), schema.get("title")
        found += len(constants)
    assert found > 9


async def test_a_board_names_itself_as_the_server(tmp_path: Path) -> None:
    """A served document has the board's public URL, whatever the request's Host; the committed one has none."""
    with served_board(tmp_path, public_url="https://chat.example.org") as served:
        async with http_client(served) as client:
            openapi, asyncapi = [(await client.get(f"/{name}.json")).json() for name in ("openapi", "asyncapi")]
    assert [server["url"] for server in openapi["servers"]] == ["https://chat.example.org"]
    assert openapi["info"]["contact"]["email"] == "webmaster@chat.example.org"
    server = asyncapi["servers"]["board"]
    assert (server["host"], server["protocol"]) == ("chat.example.org", "wss")
    assert [server["url"] for server in OPENAPI["servers"]] == ["/"]


async def test_a_board_on_this_machine_has_no_mailbox(board: Served, client: httpx.AsyncClient) -> None:
    """A demo's document is valid too: its server is plain HTTP, and its contact has a reserved domain."""
    openapi, asyncapi = [(await client.get(f"/{name}.json")).json() for name in ("openapi", "asyncapi")]
    validate(openapi)
    assert [server["url"] for server in openapi["servers"]] == [board.url]
    assert asyncapi["servers"]["board"]["protocol"] == "ws"
    assert openapi["info"]["contact"]["email"] == "webmaster@chat.example.com"


# --- the feed ---------------------------------------------------------------------------------------


def payload_of(name: str) -> jsonschema_rs.Validator:
    """The validator for the payload of one of the feed's messages."""
    reference = ASYNCAPI["components"]["messages"][name]["payload"]
    return jsonschema_rs.validator_for({**reference, "components": ASYNCAPI["components"]})


def test_the_asyncapi_document_knows_every_frame() -> None:
    """The feed's document has a message for every frame of the contract, under its type, with an example."""
    assert ASYNCAPI["asyncapi"].startswith("3.")
    assert ASYNCAPI["channels"]["feed"]["address"] == "/api/feed"
    messages = ASYNCAPI["components"]["messages"]
    assert {message["name"] for message in messages.values()} == FRAMES
    for name, message in messages.items():
        for example in message["examples"]:
            assert example["payload"]["type"] == message["name"]
            payload_of(name).validate(example["payload"])


def test_a_frame_is_one_kind_only() -> None:
    """No example of one frame is valid as another frame, and `{"seq": 1}` is none."""
    messages = ASYNCAPI["components"]["messages"]
    for name, message in messages.items():
        for example in message["examples"]:
            assert [other for other in messages if payload_of(other).is_valid(example["payload"])] == [name]
    assert not any(payload_of(name).is_valid({"seq": 1}) for name in messages)
    assert not payload_of("Watch").is_valid({"type": "watch", "payment_id": "a", "more": 1})
    assert payload_of("Heartbeat").is_valid({"type": "heartbeat", "seq": 1, "more": 1})


def test_the_feed_tells_how_to_connect_and_why_it_ends() -> None:
    """The document has the query parameters, close codes, limits, timing and error codes."""
    channel = ASYNCAPI["channels"]["feed"]
    assert set(channel["bindings"]["ws"]["query"]["properties"]) == {"after", "epoch"}
    assert set(channel["x-close-codes"]) == {"1007", "1008", "1009", "1012", "1013"}
    limits, timing = channel["x-limits"], channel["x-timing"]
    assert (limits["frameBytes"], limits["watches"], limits["resumeEntries"]) == (1024, 16, 1000)
    assert (timing["heartbeatSeconds"], timing["pingSeconds"], timing["silenceSeconds"]) == (20, 20, 45)
    error = ASYNCAPI["components"]["schemas"]["FeedError"]
    assert error["properties"]["code"]["enum"] == ["invalid_request", "not_found"]
    assert "payment_id" not in error["required"]


def test_no_reference_dangles() -> None:
    """Every reference in the feed's document exists."""
    found = list(references_in(ASYNCAPI))
    assert found
    for reference in found:
        target: Any = ASYNCAPI
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
