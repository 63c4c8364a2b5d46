"""Signatures: whether a webhook is Stripe's, and was sent just now. Doesn't import the SDK."""

import hmac

SIGNATURE_TOLERANCE_S = 300  # docs.stripe.com/webhooks#verify-official-libraries
MAX_STAMP_DIGITS = 12


class InvalidSignature(Exception):
    """The webhook has no valid signature by one of our secrets."""


class StaleSignature(InvalidSignature):
    """The signature is valid but more than five minutes off our clock: the clock is wrong, or this is a replay.

    Attributes:
        skew_s: the age of the signature in seconds, by our clock; negative if it is in the future.
    """

    def __init__(self, skew_s: int) -> None:
        super().__init__("the signature's timestamp is more than five minutes from now")
        self.skew_s = skew_s


def verify_signature(payload: bytes, header: str, secrets: tuple[bytes, ...], now: float) -> None:
    """Check a webhook's Stripe-Signature over its raw bytes (docs.stripe.com/webhooks#verify-manually).

    Raises:
        InvalidSignature: it is not from Stripe.
        StaleSignature: it is from Stripe, but more than five minutes before or after `now`.
    """
    stamps, given = [], []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamps.append(value)
        elif name == "v1":
            given.append(value.encode(errors="replace"))
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdecimal()) or len(stamps[0]) > MAX_STAMP_DIGITS:
        raise InvalidSignature("the Stripe-Signature header has no timestamp")
    signed = stamps[0].encode() + b"." + payload
    valid = [hmac.digest(secret, signed, "sha256").hex().encode() for secret in secrets]
    if not any(hmac.compare_digest(ours, theirs) for ours in valid for theirs in given):
        raise InvalidSignature("no signature matches the payload")
    # Checked last, to tell a webhook that our clock makes stale from a forged one.
    if abs(now - int(stamps[0])) > SIGNATURE_TOLERANCE_S:
        raise StaleSignature(round(now - int(stamps[0])))
