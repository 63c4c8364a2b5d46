"""API calls, read from HTTP requests: authentication, version, idempotency key and parameters."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from paidchat.sandbox import errors
from paidchat.sandbox.api.forms import decode
from paidchat.sandbox.delivery.events import Cause
from paidchat.sandbox.errors import ApiError
from paidchat.sandbox.objects.account import API_VERSION

_TEST_KEY = re.compile(r"^(sk|rk)_test_\w+$", re.ASCII)
_LIVE_KEY = re.compile(r"^(sk|rk)_live_", re.ASCII)
_LONGEST_IDEMPOTENCY_KEY = 255
_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}(\.\w+)?$", re.ASCII)


@dataclass(frozen=True)
class Call:
    """One authenticated call."""

    method: str
    path: str
    ids: dict[str, str]
    params: dict[str, Any]
    request_id: str
    api_version: str
    idempotency_key: str | None

    @property
    def cause(self) -> Cause:
        """This call, as the cause of an event."""
        return Cause(self.request_id, self.idempotency_key)

    @property
    def fingerprint(self) -> str:
        """A hash of method, path and parameters: a repeated idempotency key must have the same one."""
        said = json.dumps([self.method, self.path, self.params], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()


async def read_call(request: Request, request_id: str) -> Call:
    """Authenticate a request and decode it.

    Raises:
        ApiError: No API key, a wrong one, or a malformed request.
    """
    _authenticate(request.headers.get("authorization", ""))
    text = request.url.query if request.method in {"GET", "HEAD"} else await _body(request)
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return Call(
        method=request.method,
        path=path,
        ids=dict(request.path_params),
        params=decode(text),
        request_id=request_id,
        api_version=api_version(request),
        idempotency_key=_idempotency_key(request) if request.method == "POST" else None,
    )


def api_version(request: Request) -> str:
    """Return the API version in the request, else the account's default.

    Raises:
        ApiError: The header is not a version.
    """
    version = request.headers.get("stripe-version", API_VERSION)
    if not _VERSION.match(version):
        raise ApiError(f"Invalid Stripe API version: {version[:40]}")
    return version


def _authenticate(authorization: str) -> None:
    scheme, _, key = authorization.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        message = "You did not provide an API key. Send it as 'Authorization: Bearer YOUR_SECRET_KEY'."
        raise errors.unauthorized(message)
    if _LIVE_KEY.match(key):
        message = "This is a sandbox and accepts only test keys. Never send a live key to it."
        raise errors.unauthorized(message)
    if not _TEST_KEY.match(key):
        raise errors.unauthorized("Invalid API Key provided.")


async def _body(request: Request) -> str:
    raw = await request.body()
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if raw and content_type != "application/x-www-form-urlencoded":
        raise ApiError(f"Invalid request: the content type must be a form, not {content_type[:60] or 'missing'}.")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ApiError("The request body is not UTF-8.") from None


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and len(key) > _LONGEST_IDEMPOTENCY_KEY:
        message = f"Idempotency keys can have at most {_LONGEST_IDEMPOTENCY_KEY} characters."
        raise ApiError(message, kind="idempotency_error")
    return key
