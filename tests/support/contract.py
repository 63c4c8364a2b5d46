"""Checks what a board returns and sends against its published documents, openapi.json and asyncapi.json."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import jsonschema_rs

from tests.support.shapes import Json

ROOT: Final = Path(__file__).parents[2]
OPENAPI: Final[Json] = json.loads((ROOT / "openapi.json").read_text())
ASYNCAPI: Final[Json] = json.loads((ROOT / "asyncapi.json").read_text())
PROBLEM: Final = "application/problem+json"
OURS: Final = re.compile("/(api|stripe|healthz|readyz|metrics)(/|$)")


class Operation(NamedTuple):
    """An operation of the OpenAPI document."""

    method: str
    path: str
    described: Json

    @property
    def id(self) -> str:
        """Its operation id."""
        return str(self.described["operationId"])


class Errors(NamedTuple):
    """The error codes that an operation can return with one status."""

    operation: str
    status: int
    codes: frozenset[str]


OPERATIONS: Final = tuple(
    Operation(method.upper(), path, described)
    for path, operations in OPENAPI["paths"].items()
    for method, described in operations.items()
)


def _strict(document: Json) -> Json:
    """Return the document's components with additional fields forbidden, because we send none."""
    components = copy.deepcopy(document["components"])
    for name, schema in components["schemas"].items():
        if "allOf" in schema:
            schema["unevaluatedProperties"] = False
        elif schema.get("type") == "object" and name != "Problem":
            schema["additionalProperties"] = False
    return {"components": components}


_STRICT: Final = {id(document): _strict(document) for document in (OPENAPI, ASYNCAPI)}
_validators: dict[str, jsonschema_rs.Validator] = {}


def _validate(document: Json, schema: Json, value: Any) -> None:
    key = f"{id(document)} {json.dumps(schema)}"
    if key not in _validators:
        _validators[key] = jsonschema_rs.validator_for({**schema, **_STRICT[id(document)]}, validate_formats=True)
    _validators[key].validate(value)


def operation_of(method: str, path: str) -> Operation | None:
    """Return the operation that matches a request, or None."""
    for operation in OPERATIONS:
        template = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.path))
        if operation.method == method and re.fullmatch(template, path):
            return operation
    return None


def check(operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Check that a response is a documented one of its operation; return the error's code, or None."""
    where = f"{operation.id} {status}"
    response = operation.described["responses"].get(str(status))
    assert response is not None, f"{where} is not documented"
    headers = {name.lower(): value for name, value in headers.items()}
    named = {name.lower() for name in response["headers"]}
    for name in ("etag", "location", "retry-after", "www-authenticate", "allow"):
        assert name in named or name not in headers, f"{where}: {name} is not documented"
    for name in response["headers"]:
        assert name.lower() in headers or not _is_required(name), f"{where}: {name} is missing"
    if not response.get("content"):
        assert not body, f"{where} has a body"
        return ""
    [(media_type, media)] = response["content"].items()
    assert headers["content-type"].partition(";")[0] == media_type, where
    if media_type == "text/plain":
        return ""
    answer = json.loads(body)
    _validate(OPENAPI, media["schema"], answer)
    return str(answer["code"]) if media_type == PROBLEM else ""


def _is_required(header: str) -> bool:
    return bool(OPENAPI["components"]["headers"][header].get("required"))


async def check_answer(response: httpx.Response) -> None:
    """Check a response against the OpenAPI document (an httpx hook); errors outside all operations must be problems."""
    method, path = response.request.method, response.request.url.raw_path.decode().partition("?")[0]
    if method in {"HEAD", "OPTIONS"} or not OURS.match(path):
        return
    await response.aread()
    operation = operation_of(method, path)
    if operation is not None:
        check(operation, response.status_code, response.headers, response.content)
    elif response.is_error:
        _validate(OPENAPI, {"$ref": "#/components/schemas/Problem"}, response.json())
        assert response.json()["code"] in {"not_found", "method_not_allowed", "payload_too_large"}


def check_frame(frame: Json) -> None:
    """Check a frame of the feed against the AsyncAPI document."""
    [name] = [name for name, message in ASYNCAPI["components"]["messages"].items() if message["name"] == frame["type"]]
    _validate(ASYNCAPI, ASYNCAPI["components"]["messages"][name]["payload"], frame)


def documented_errors() -> Iterator[Errors]:
    """Yield the errors of every operation, status by status."""
    for operation in OPERATIONS:
        for status, response in operation.described["responses"].items():
            if PROBLEM in response.get("content", {}):
                name = response["content"][PROBLEM]["schema"]["$ref"].rpartition("/")[2]
                codes = OPENAPI["components"]["schemas"][name]["allOf"][1]["properties"]["code"]["enum"]
                yield Errors(operation.id, int(status), frozenset(codes))
