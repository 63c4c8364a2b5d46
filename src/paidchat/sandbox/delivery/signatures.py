"""Signatures: the header that proves that an event is genuine (docs.stripe.com/webhooks/signature)."""

import hashlib
import hmac


def signature_header(payload: bytes, secret: str, timestamp: int) -> str:
    """Return `t=…,v1=…`: the time in seconds since the epoch, and the HMAC-SHA256 of time and payload."""
    signed = f"{timestamp}.".encode() + payload
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
