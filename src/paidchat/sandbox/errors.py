"""The errors of the sandbox.

ApiError                  the API refuses a call; rendered as Stripe's error object
└── ExecutionError        … after it began to execute, so the error is kept under the idempotency key
StateError                the state of an object forbids the action
└── UnknownObjectError    there is no object with that id
"""

from typing import Any


class StateError(Exception):
    """The object's state forbids the action; the text says why.

    Attributes:
        code: The API's code for this refusal, if it has one.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class UnknownObjectError(StateError):
    """There is no object with the given id."""


class ApiError(Exception):
    """The API refuses a call.

    Attributes:
        status: HTTP status of the response.
        kept: Whether the response is kept under the idempotency key. Stripe does so only if the call
            had begun to execute, so never for invalid parameters.
    """

    kept = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param

    def body(self) -> dict[str, Any]:
        """Return the error object: `{"error": {"message", "type", "code"?, "doc_url"?, "param"?}}`."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = "https://docs.stripe.com/error-codes/" + self.code.replace("_", "-")
        if self.param:
            error["param"] = self.param
        return {"error": error}


class ExecutionError(ApiError):
    """A call failed after the API began to execute it; the response is kept under its idempotency key."""

    kept = True


def missing(param: str) -> ApiError:
    """A required parameter is missing."""
    return ApiError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> ApiError:
    """The call has no such parameter."""
    return ApiError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def empty(param: str) -> ApiError:
    """An empty string where a value is required."""
    message = f"You passed an empty string for '{param}', which cannot be unset. Remove the parameter or pass a value."
    return ApiError(message, code="parameter_invalid_empty", param=param)


def invalid(param: str, message: str, code: str | None = None) -> ApiError:
    """A parameter has an invalid value."""
    return ApiError(message, code=code, param=param)


def not_offered(param: str) -> ApiError:
    """Stripe has this parameter but the sandbox does not support it; ignoring it would hide that."""
    return ApiError(f"The sandbox does not support the parameter {param}.", param=param)


def no_such(kind: str, object_id: str, param: str = "id") -> ApiError:
    """There is no object with this id."""
    message = f"No such {kind}: '{object_id}'"
    return ApiError(message, status=404, code="resource_missing", param=param)


def unauthorized(message: str) -> ApiError:
    """The key is missing, malformed or of the wrong mode."""
    return ApiError(message, status=401)
