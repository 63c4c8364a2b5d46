"""Shapes: the type of what the API shows, and what several objects have in them."""

from typing import Any, Final

Json = dict[str, Any]  # an object of the API; its fields are Stripe's

NO_ADDRESS: Final[Json] = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
