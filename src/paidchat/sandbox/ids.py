"""Object ids in Stripe's form: a prefix for the kind, then random letters and digits."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits

_LENGTHS = {"cs_test_": 58, "prod_": 14, "req_": 14}
_DEFAULT_LENGTH = 24


def new_id(prefix: str) -> str:
    """Return a new id such as `pi_…`, with at least 83 random bits."""
    length = _LENGTHS.get(prefix, _DEFAULT_LENGTH)
    return prefix + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in secrets.token_bytes(length))
