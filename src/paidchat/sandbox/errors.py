"""The refusals of the sandbox.

ApiError                  the API refuses a call; rendered as Stripe's error object
└── ExecutionError        … after it had begun to act, so the refusal is remembered
StateError                an act the state of things forbids, whoever wants to act
└── UnknownObjectError    there is nothing by that id
"""

from typing import Any


class StateError(Exception):
    """An act the present state forbids; its text says why.

    Attributes:
        code: The API's code for this refusal, if it has one.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class UnknownObjectError(StateError):
    """No object has the id that was asked for."""


class ApiError(Exception):
    """A call the API refuses.

    Attributes:
        status: HTTP status of the answer.
        kept: Whether the refusal is remembered under the idempotency key. Stripe does so only when the call
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
    """A call the API began to execute and could not finish; the refusal is remembered under its key."""

    kept = True


def missing(param: str) -> ApiError:
    """A required parameter is not there."""
    return ApiError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> ApiError:
    """A parameter the call does not have."""
    return ApiError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def empty(param: str) -> ApiError:
    """An empty string where a value must stand."""
    message = f"You passed an empty string for '{param}', which cannot be unset. Leave it out or give a value."
    return ApiError(message, code="parameter_invalid_empty", param=param)


def invalid(param: str, message: str, code: str | None = None) -> ApiError:
    """A parameter with a value that cannot be."""
    return ApiError(message, code=code, param=param)


def not_offered(param: str) -> ApiError:
    """A parameter Stripe has and the sandbox does not act on: saying so beats ignoring it."""
    return ApiError(f"The sandbox does not offer the parameter {param}.", param=param)


def no_such(kind: str, object_id: str, param: str = "id") -> ApiError:
    """There is no object by this id."""
    message = f"No such {kind}: '{object_id}'"
    return ApiError(message, status=404, code="resource_missing", param=param)


def unauthorized(message: str) -> ApiError:
    """The key is missing, malformed or of the wrong mode."""
    return ApiError(message, status=401)
