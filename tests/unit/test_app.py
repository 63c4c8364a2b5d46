"""The app, as it is built: nothing is left for the first request to prepare."""

from inspect import iscoroutinefunction

from paidchat.app import ROUTERS, create_app
from paidchat.settings import Settings

SETTINGS = Settings(public_url="http://localhost", stripe_secret_key="sk_test_x", stripe_webhook_secrets="whsec_x")


def test_routes_are_those_that_were_declared() -> None:
    """The app serves the declared routes themselves: FastAPI prepares its copies of them in the first request."""
    declared = [route for router in ROUTERS for route in router.routes]
    assert declared
    assert create_app(SETTINGS).routes[: len(declared)] == declared


def test_no_error_is_handled_in_a_thread() -> None:
    """Every error is handled in the event loop: a plain function would be run in a thread."""
    handlers = create_app(SETTINGS).exception_handlers.values()
    assert [handler for handler in handlers if not iscoroutinefunction(handler)] == []
