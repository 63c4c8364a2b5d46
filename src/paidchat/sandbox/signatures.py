"""The `Stripe-Signature` header: HMAC-SHA256 over timestamp and payload (docs.stripe.com/webhooks/signature)."""

import hashlib
import hmac


def signature_header(payload: bytes, secret: str, timestamp: int) -> str:
    """Return `t=…,v1=…` for a payload sent at `timestamp`, seconds since the epoch."""
    signed = f"{timestamp}.".encode() + payload
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
